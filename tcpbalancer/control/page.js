"use strict";
// Keeps the numbers up to date: asks for the cells that the server has rendered, and puts in those that differ.
// Nothing from the server is ever read as HTML.
(() => {
  const body = document.body;
  const every = Number(body.dataset.every) * 1000;
  const age = document.getElementById("age");
  const scope = document.getElementById("scope");
  let last = Date.now();
  let waiting = false;

  const put = (cell, [text, kind, title]) => {
    const shown = cell.querySelector("[data-text]") || cell;
    if (shown.textContent !== text) {
      shown.textContent = text;
      if (!cell.matches(".age, .check")) { // those change all the time
        cell.classList.remove("changed");
        void cell.offsetWidth; // so that the animation begins anew
        cell.classList.add("changed");
      }
    }
    if (cell.title !== title) cell.title = title;
    const target = shown === cell ? cell : shown;
    if (target.dataset.kind !== kind) {
      if (target.dataset.kind) target.classList.remove(target.dataset.kind);
      if (kind) target.classList.add(kind);
      target.dataset.kind = kind;
    }
  };

  const isBusy = () => document.querySelector(".proxy input:checked") !== null;

  const take = (seen) => {
    last = Date.now();
    body.classList.remove("stale");
    age.textContent = seen.age;
    document.title = seen.title;
    for (const [name, text] of Object.entries(seen.facts)) {
      const fact = document.querySelector(`[data-fact="${name}"]`);
      if (fact && fact.lastChild.nodeValue !== text) fact.lastChild.nodeValue = text;
    }
    if (seen.shape !== body.dataset.shape) {
      if (!isBusy()) location.reload(); // servers have come or gone
      return;
    }
    document.querySelectorAll("tbody tr").forEach((row, number) => {
      seen.rows[number].forEach((cell, column) => put(row.cells[column + 1], cell));
    });
  };

  const ask = async () => {
    if (document.hidden || waiting) return;
    waiting = true;
    try {
      const answer = await fetch(body.dataset.live, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(String(answer.status));
      take(await answer.json());
    } catch {
      body.classList.add("stale");
      age.textContent = `Not reached: what is shown is ${Math.round((Date.now() - last) / 1000)} s old.`;
    } finally {
      waiting = false;
    }
  };

  const filter = () => {
    const wanted = scope.value.toLowerCase();
    document.querySelectorAll(".proxy").forEach((proxy) => {
      proxy.hidden = !proxy.dataset.name.toLowerCase().includes(wanted);
    });
  };

  scope.addEventListener("input", filter);
  document.querySelectorAll("input[data-all]").forEach((all) => {
    all.hidden = false;
    all.addEventListener("change", () => {
      all.closest("table").querySelectorAll('input[name="s"]').forEach((box) => { box.checked = all.checked; });
    });
  });
  filter();
  if (every > 0) {
    setInterval(ask, every);
    document.addEventListener("visibilitychange", ask);
  }
})();
