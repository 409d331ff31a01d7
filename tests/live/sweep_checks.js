({
  // Checks of the page's modules, run within the page; each returns what test_sweep.py judges.
  async cutDifferently(load) {
    const m = await load("store");
    const counts = Int16Array.from({length: 5000}, (_, i) => (i * 7919) % 4001 - 2000);
    const fill = (store, cuts) => {
      let i = 0;
      for (const end of [...cuts, counts.length]) {
        store.add({iFirst: i, t0Ms: 1e12 + 4 * i, counts: counts.subarray(i, end)}, 0.5, 1);
        i = end;
      }
      return store;
    };
    const whole = fill(new m.SampleStore(4), []);
    const found = [];
    for (let seed = 1; seed <= 50; seed += 1) {
      const cuts = [...new Set(Array.from({length: seed}, (_, k) => (seed * (k + 3) * 131) % 5000))].sort((a, b) => a - b);
      const store = fill(new m.SampleStore(4), cuts.filter((cut) => cut > 0));
      if (store.runs.length !== 1) found.push(`${store.runs.length} runs of seed ${seed}`);
      for (let i = 0; i < 5000; i += 1) if (store.value(i) !== whole.value(i)) found.push(`value ${i} of ${seed}`);
      for (const t of [0, 2, 4.4, 11_111, 19_996]) if (store.at(1e12 + t) !== whole.at(1e12 + t)) found.push(`at ${t}`);
    }
    if (whole.at(1e12 + 2) !== (counts[0] + counts[1]) * 0.25 + 1) found.push("not on the line between two");
    if (whole.at(1e12 - 5) !== null || whole.at(1e12 + 20_005) !== null) found.push("a value where none is");
    return found;
  },

  async toldAgain(load) {
    const m = await load("store");
    const store = new m.SampleStore(4);
    const block = (i, n, value) => ({iFirst: i, t0Ms: 1e12 + 4 * i, counts: new Int16Array(n).fill(value)});
    store.add(block(0, 100, 1), 1, 0);
    const gap = store.add(block(150, 50, 2), 1, 0).missing;
    store.cutFrom(1e12 + 4 * 40);
    store.add(block(40, 160, 3), 1, 0);
    return {gap, runs: store.runs.length, end: store.end, seen: [0, 39, 40, 199].map((i) => store.at(1e12 + 4 * i))};
  },

  async placesOfInstants(load) {
    const m = await load("axis");
    const found = [];
    for (let k = 0; k < 2000; k += 1) {
      const axis = new m.Axis({spanMs: 3000 + 7.3 * k, width: 900, wraps: true});
      const from = 1.8e12 + 997.7 * k;
      const to = from + (k * 53) % 12_000;
      let ms = 0, end = null;
      axis.stretch(from, to, (x0, x1, t0, t1) => {
        if (x0 < -1e-3 || x1 > 900.001 || x1 < x0) found.push(`${k}: ${x0} to ${x1}`);
        if (Math.abs((t1 - t0) * axis.perMs - (x1 - x0)) > 1e-3) found.push(`${k}: not as wide as long`);
        if (end !== null && Math.abs(t0 - end) > 1e-3) found.push(`${k}: a hole`);
        ms += t1 - t0; end = t1;
      });
      if (Math.abs(ms - Math.min(to - from, axis.spanMs)) > 1e-2) found.push(`${k}: ${ms} ms`);
    }
    return found;
  },

  async tenMinutes(load) {
    const m = await load("traces");
    const root = document.createElement("section");
    root.className = "traces";
    root.style.height = "200px";
    document.body.append(root);
    const board = new m.TraceBoard(root, document.createElement("p"), document.createElement("p"));
    board.addChannel({id: 1, device: "d", channel: "ecg", label: "ECG", kind: "ecg", unit: "mV", scale: 0.005,
      offset: 0, period_ns: [4_000_000, 1]});
    let i = 0;
    const play = (seconds) => {
      for (let k = 0; k < seconds; k += 1, i += 250) {
        const counts = Int16Array.from({length: 250}, (_, j) => (j % 200 === 0 ? 200 : 0));
        board.addSamples({channelId: 1, history: false, iFirst: i, t0Ms: 1e12 + 4 * i, receivedMs: null, counts}, 0);
      }
      board.draw(1e12 + 4 * i, false, () => {});
    };
    play(660);
    const oldest = board.oldestMs;
    root.querySelector(".sweep-freeze").click();
    const told = [];
    for (let minute = 0; minute < 11; minute += 1) {
      play(60);
      board.judge(0);
      told.push([board.state.frozen !== null, root.querySelector(".frozen-note").textContent.includes("live again in")]);
    }
    const span = board.spanMs;
    root.remove();
    return {keptS: (1e12 + 4 * 660 * 250 - oldest) / 1000, told, span};
  },
})
