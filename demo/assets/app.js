"use strict";
// Figures on the home page, the notice board's WebSocket and the sensors' event stream. Each works on its page only.
(() => {
  const state = document.getElementById("state");
  const say = (text, live) => {
    if (!state) return;
    state.textContent = text;
    state.classList.toggle("live", live);
  };
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  const figures = document.querySelector("[data-summary]");
  if (figures) {
    const refresh = async () => {
      const answer = await fetch(figures.dataset.summary, { headers: { accept: "application/json" } }).catch(() => null);
      if (!answer) return;
      if (answer.status === 401) return location.reload();
      if (!answer.ok) return;
      for (const [name, value] of Object.entries(await answer.json())) {
        const place = figures.querySelector(`[data-figure="${name}"]`);
        if (place) place.textContent = value;
      }
    };
    setInterval(refresh, 30000);
  }

  const board = document.querySelector("[data-socket]");
  if (board) {
    const list = document.getElementById("board");
    let socket;
    let wait = 1000;
    const connect = () => {
      const url = new URL(board.dataset.socket, location.href);
      url.protocol = "wss:";
      socket = new WebSocket(url);
      socket.onopen = () => {
        wait = 1000;
        list.replaceChildren();
        say("接続中", true);
      };
      socket.onmessage = (event) => {
        const notice = JSON.parse(event.data);
        const meta = element("p", undefined, "meta");
        meta.append(element("b", notice.author), element("time", notice.at));
        const item = element("li");
        item.append(meta, element("p", notice.text));
        list.append(item);
        list.scrollTop = list.scrollHeight;
      };
      socket.onclose = () => {
        say("切断されました。再接続しています…", false);
        setTimeout(connect, wait);
        wait = Math.min(wait * 2, 30000);
      };
    };
    document.getElementById("say").addEventListener("submit", (event) => {
      event.preventDefault();
      const words = document.getElementById("words");
      if (socket.readyState === WebSocket.OPEN && words.value.trim()) {
        socket.send(words.value);
        words.value = "";
      }
    });
    connect();
  }

  const beds = document.querySelector("[data-events]");
  if (beds) {
    const kinds = { 睡眠中: "asleep", 在床: "in", 起き上がり: "rising", 離床: "out" };
    const events = new EventSource(beds.dataset.events);
    events.onopen = () => say("受信中", true);
    events.onerror = () => say("切断されました。再接続しています…", false);
    events.addEventListener("reading", (event) => {
      const reading = JSON.parse(event.data);
      const bed = document.getElementById(`bed-${reading.room}`);
      if (!bed) return;
      bed.className = `card bed ${kinds[reading.state] || ""}`;
      bed.querySelector(".state").textContent = reading.state;
      const vitals = reading.breath ? `呼吸 ${reading.breath}　心拍 ${reading.heart}` : "マットレスに不在";
      bed.querySelector(".vitals").textContent = `${vitals}　${reading.at}`;
    });
  }
})();
