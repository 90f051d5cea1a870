// The film at a record's second: the browser plays it, or the server shows it picture by picture.

const $ = (id) => document.getElementById(id);

export class FilmView {
  constructor(fail) {
    this.film = null;
    this.shown = false;
    this.plays = false;
    this.at_s = 0;
    this.fail = fail;
    this.wanted = null;
    $("video").addEventListener("timeupdate", () => { this.at_s = $("video").currentTime; this.tell(); });
    $("video").addEventListener("error", () => { if (this.plays) { this.plays = false; this.go(this.at_s); } });
    $("still").addEventListener("load", () => this.loaded());
    $("still").addEventListener("error", () => { this.wanted = null; if (this.shown) this.fail("The film shows no picture at this time"); });
  }

  open(film, fps) {
    this.film = film;
    this.step_s = 1 / (fps || 25);
    this.plays = Boolean(film && film.kind && $("video").canPlayType(film.kind));
    if (this.plays) $("video").src = "/film";
  }

  show(shown, at_s) {
    this.shown = shown;
    if (!shown) $("video").pause();
    $("video").hidden = !(shown && this.plays);
    $("still").hidden = !(shown && !this.plays);
    if (shown) this.go(at_s ?? 0);
  }

  go(at_s) {
    if (!this.film || !this.shown) return;
    this.at_s = Math.max(0, Math.min(at_s, this.film.length_s ?? Infinity));
    $("video").hidden = !this.plays;
    $("still").hidden = this.plays;
    if (this.plays) $("video").currentTime = this.at_s; else this.ask();
    this.tell();
  }

  ask() { // one picture at a time; the last one that was wanted meanwhile comes next
    const url = `/still.jpg?t=${this.at_s.toFixed(3)}`;
    if (this.wanted === null) $("still").src = url;
    this.wanted = url;
  }

  loaded() {
    this.fail("");
    const next = this.wanted;
    this.wanted = null;
    if (next && !$("still").src.endsWith(next)) { $("still").src = next; this.wanted = next; }
  }

  step(seconds, frames = 0) {
    $("video").pause();
    this.go(this.at_s + seconds + frames * this.step_s);
  }

  tell() { $("film-time").textContent = clock(this.at_s); }
}

export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}
