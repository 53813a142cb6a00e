"""The protocol itself: states, events, effects, timers, and the one machine. Pure: no socket, no clock, no file."""
