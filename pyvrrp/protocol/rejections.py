"""Why a packet is refused: one class a counter.

Laws: values only. Each class carries the name under which it is counted: keepalived's statistics and RFC 2787's MIB
where they have one, a name of ours where they have none. The text is the log line, less the name of the instance; it
never holds a password or a key.
"""

from __future__ import annotations

from typing import ClassVar


class RejectedError(Exception):
    """A packet that is refused; ``counter`` is what it is counted as."""

    counter: ClassVar[str]


class AuthTypeError(RejectedError):
    """It has another kind of authentication than ours, or an AH header where none belongs, or none where one does."""

    counter = "authtype_mismatch"


class PacketLengthError(RejectedError):
    """Its length does not fit its count of addresses."""

    counter = "packet_len_err"


class TimeToLiveError(RejectedError):
    """Its TTL or hop limit says that it did not come from where its sender is."""

    counter = "ip_ttl_err"


class ProtocolVersionError(RejectedError):
    """It is of another version of VRRP."""

    counter = "version_err"


class TrailerMissingError(RejectedError):
    """It is not signed, and ``auth_hmac { mode enforce }`` asks for it."""

    counter = "auth_ext_missing"


class TrailerMalformedError(RejectedError):
    """What stands behind the message is as long as a trailer, but is none."""

    counter = "auth_ext_malformed"


class TrailerStaleError(RejectedError):
    """It was signed too long ago, or its sender's clock is wrong, or ours."""

    counter = "auth_ext_stale"


class TrailerKeyError(RejectedError):
    """It was signed with a key that we do not have."""

    counter = "auth_ext_unknown_key"


class TrailerHmacError(RejectedError):
    """Its signature is wrong."""

    counter = "auth_ext_invalid_hmac"


class TrailerReplayError(RejectedError):
    """It was signed before one that this sender has sent already."""

    counter = "auth_ext_replay"


class InvalidAuthTypeError(RejectedError):
    """It has a kind of authentication that does not exist."""

    counter = "invalid_authtype"


class AuthFailureError(RejectedError):
    """It has another password than ours; in AH also a wrong SPI or a sequence number of the past."""

    counter = "auth_failure"


class AdvertIntervalError(RejectedError):
    """Its interval is another than ours in version 2 (keepalived refuses it but never counts it), or 0 in version 3."""

    counter = "advert_interval_err"


class MessageTypeError(RejectedError):
    """It is no ADVERTISEMENT, and there is nothing else in VRRP."""

    counter = "invalid_type_rcvd"


class ChecksumError(RejectedError):
    """Its checksum does not fit."""

    counter = "checksum_err"


class DestinationError(RejectedError):
    """It was not sent to where this instance listens: the group, or in unicast ourselves."""

    counter = "destination_err"


class OwnerIgnoresError(RejectedError):
    """Nothing is wrong with it, but the owner of the addresses does not listen (``owner_ignore_adverts``)."""

    counter = "owner_ignored"


class SourceError(RejectedError):
    """Its source is our own address, or a virtual one: a loop, a duplicate or a forgery."""

    counter = "source_err"


class PeerError(RejectedError):
    """Its source is none of the unicast peers."""

    counter = "peer_err"


REJECTIONS: tuple[type[RejectedError], ...] = (
    AuthTypeError, PacketLengthError, TimeToLiveError, ProtocolVersionError,
    TrailerMissingError, TrailerMalformedError, TrailerStaleError, TrailerKeyError, TrailerHmacError,
    TrailerReplayError, InvalidAuthTypeError, AuthFailureError, AdvertIntervalError, MessageTypeError, ChecksumError,
    DestinationError, OwnerIgnoresError, SourceError, PeerError,
)  # fmt: skip
