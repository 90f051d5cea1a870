// The picture with its outline on a canvas: zoom, pan, and the outline's points to edit.
// Points are in the picture's pixels, 0, 0 the middle of the first one.

const REACH = { mouse: 10, pen: 14, touch: 26 }; // CSS pixels around a point
const ROOM = 34; // between two points, for a circle that makes another
const DOUBLE_MS = 350;

export class Stage {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed; // called when what can be done has changed
    this.image = null;
    this.rings = [];
    this.box = null;
    this.overlay = true;
    this.editing = false;
    this.drawing = null; // a ring that is not closed yet
    this.selected = null; // [ring, point]
    this.past = [];
    this.view = { scale: 1, x: 0, y: 0 };
    this.fitted = "whole";
    this.pointers = new Map();
    this.grip = null;
    this.tapped = { ms: 0, x: 0, y: 0 };
    for (const kind of ["down", "move", "up", "cancel"]) canvas.addEventListener(`pointer${kind}`, (e) => this[kind](e));
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    new ResizeObserver(() => { this.refit(); this.draw(); }).observe(canvas);
  }

  show(image, rings, box) {
    const same = this.image && image && this.image.naturalWidth === image.naturalWidth;
    this.image = image;
    this.rings = rings;
    this.box = box;
    this.stop();
    if (!same || this.fitted !== "free") this.refit();
    this.draw();
  }

  // View

  refit() {
    if (!this.image) return;
    const { naturalWidth: w, naturalHeight: h } = this.image;
    if (this.fitted === "whole") this.frame(0, 0, w, h, 1);
    if (this.fitted === "crack" && this.box) {
      const [left, top, right, bottom] = this.box;
      const margin = 0.35 * Math.max(right - left, bottom - top, 40);
      this.frame(left - margin, top - margin, right + margin, bottom + margin, 8);
    }
    if (this.fitted === "full") {
      const [left, top, right, bottom] = this.box || [0, 0, w, h];
      this.around((left + right) / 2, (top + bottom) / 2, 1 / devicePixelRatio);
    }
  }

  frame(left, top, right, bottom, most) {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    const scale = Math.min(w / (right - left), h / (bottom - top), most === 1 ? Infinity : most);
    this.around((left + right) / 2, (top + bottom) / 2, scale);
  }

  around(x, y, scale) {
    this.view = { scale, x: this.canvas.clientWidth / 2 - x * scale, y: this.canvas.clientHeight / 2 - y * scale };
  }

  fit(what) { this.fitted = what; this.refit(); this.draw(); }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(40, Math.max(0.05, this.view.scale * factor));
    const share = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * share, y: y - (y - this.view.y) * share };
    this.fitted = "free";
    this.draw();
  }

  wheel(e) {
    e.preventDefault();
    this.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), e.offsetX, e.offsetY);
  }

  screen([x, y]) { return [(x + 0.5) * this.view.scale + this.view.x, (y + 0.5) * this.view.scale + this.view.y]; }

  picture(x, y) {
    const { naturalWidth: w, naturalHeight: h } = this.image;
    const to = (v, offset, size) => Math.min(size - 1, Math.max(0, (v - offset) / this.view.scale - 0.5));
    return [Math.round(10 * to(x, this.view.x, w)) / 10, Math.round(10 * to(y, this.view.y, h)) / 10];
  }

  // Drawing

  draw() {
    const { canvas, view } = this, ratio = devicePixelRatio;
    const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    if (!this.image) return;
    pen.imageSmoothingEnabled = view.scale * ratio < 3;
    pen.drawImage(this.image, view.x, view.y, this.image.naturalWidth * view.scale, this.image.naturalHeight * view.scale);
    if (this.overlay || this.editing) this.drawOverlay(pen);
    canvas.dataset.drawn = String(Number(canvas.dataset.drawn || 0) + 1);
  }

  drawOverlay(pen) {
    pen.beginPath();
    for (const ring of this.rings) this.path(pen, ring, true);
    pen.fillStyle = this.editing ? "#ff2b6322" : "#ff2b6355";
    pen.fill("evenodd");
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    pen.strokeStyle = "#ff2b63";
    pen.stroke();
    if (this.box && !this.editing) {
      const [left, top, right, bottom] = this.box.map((v, i) => v * this.view.scale + (i % 2 ? this.view.y : this.view.x));
      pen.setLineDash([5, 5]);
      pen.lineWidth = 1;
      pen.strokeStyle = "#ffffffb0";
      pen.strokeRect(left - 12, top - 12, right - left + 24, bottom - top + 24);
      pen.setLineDash([]);
    }
    if (this.drawing) {
      pen.beginPath();
      this.path(pen, this.drawing, false);
      pen.strokeStyle = "#ffd400";
      pen.stroke();
      this.drawing.forEach((point, i) => this.dot(pen, point, i ? 4 : 7, "#ffd400"));
    }
    if (this.editing && !this.drawing) this.drawPoints(pen);
  }

  drawPoints(pen) {
    this.rings.forEach((ring, r) => {
      for (const middle of this.middles(ring)) if (middle) this.dot(pen, middle, 3.5, "#ffffff00", "#ffffffd0");
      ring.forEach((point, p) => {
        const chosen = this.selected && this.selected[0] === r && this.selected[1] === p;
        this.dot(pen, point, chosen ? 7 : 4.5, chosen ? "#ffd400" : "#ffffff", "#ff2b63");
      });
    });
  }

  path(pen, ring, close) {
    ring.forEach((point, i) => pen[i ? "lineTo" : "moveTo"](...this.screen(point)));
    if (close && ring.length) pen.closePath();
  }

  dot(pen, point, radius, fill, line = "#1b1c1e") {
    pen.beginPath();
    pen.arc(...this.screen(point), radius, 0, 7);
    pen.fillStyle = fill;
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = line;
    pen.stroke();
  }

  middles(ring) { // of each side with room for it, else null
    return ring.map((from, i) => {
      const to = ring[(i + 1) % ring.length], [a, b] = [this.screen(from), this.screen(to)];
      if (ring.length < 2 || Math.hypot(a[0] - b[0], a[1] - b[1]) < ROOM) return null;
      return [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
    });
  }

  // Editing

  edit() { this.stop(); this.editing = true; this.overlay = true; this.original = this.rings; this.keep(); this.past.pop(); this.draw(); this.changed(); }

  stop() { this.editing = false; this.drawing = this.selected = this.grip = null; this.past = []; this.changed(); }

  giveUp() { this.rings = this.original; this.stop(); this.draw(); }

  keep() { // what is now, to step back to; the rings are copied, since points are moved in place
    this.past.push(this.rings);
    this.rings = this.rings.map((ring) => ring.map((point) => [...point]));
  }

  stepBack() {
    if (this.drawing) { this.drawing.pop(); if (!this.drawing.length) this.drawing = null; }
    else if (this.past.length) this.rings = this.past.pop();
    this.selected = null;
    this.draw();
    this.changed();
  }

  begin() { this.drawing = this.drawing ? null : []; this.selected = null; this.draw(); this.changed(); }

  close() {
    if (this.drawing && this.drawing.length > 2) { this.keep(); this.rings.push(this.drawing); }
    this.drawing = null;
    this.draw();
    this.changed();
  }

  removePoint() {
    if (!this.selected) return;
    const [r, p] = this.selected;
    this.keep();
    this.rings[r].splice(p, 1);
    if (this.rings[r].length < 3) this.rings.splice(r, 1);
    this.selected = null;
    this.draw();
    this.changed();
  }

  removeRing() {
    if (!this.selected) return;
    this.keep();
    this.rings.splice(this.selected[0], 1);
    this.selected = null;
    this.draw();
    this.changed();
  }

  nearest(x, y, reach) { // the point, or the middle of a side, under a finger
    let found = null, best = reach;
    this.rings.forEach((ring, r) => {
      const try_ = (point, p, middle) => {
        const [px, py] = this.screen(point), away = Math.hypot(px - x, py - y) + (middle ? 3 : 0);
        if (away < best) { best = away; found = { r, p, middle }; }
      };
      ring.forEach((point, p) => try_(point, p, false));
      this.middles(ring).forEach((middle, p) => middle && try_(middle, p, true));
    });
    return found;
  }

  // Pointers: one moves a point or the picture, two zoom

  down(e) {
    if (!this.image || e.button > 0) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, [e.offsetX, e.offsetY]);
    if (this.pointers.size > 1) { this.grip = null; return; }
    this.grip = { kind: "pan", x: e.offsetX, y: e.offsetY, moved: false };
    if (!this.editing || this.drawing) return;
    const found = this.nearest(e.offsetX, e.offsetY, REACH[e.pointerType] || REACH.mouse);
    if (!found) return;
    this.grip = { ...this.grip, kind: "point", ...found };
    if (!found.middle) this.selected = [found.r, found.p];
    this.draw();
    this.changed();
  }

  move(e) {
    const before = this.pointers.get(e.pointerId);
    if (!before) { this.hover(e); return; }
    const [x, y] = [e.offsetX, e.offsetY];
    if (this.pointers.size === 2) { this.pinch(e.pointerId, x, y); return; }
    this.pointers.set(e.pointerId, [x, y]);
    const grip = this.grip;
    if (!grip) return;
    if (!grip.moved && Math.hypot(x - grip.x, y - grip.y) < 4) return;
    if (grip.kind === "pan") {
      this.view.x += x - before[0];
      this.view.y += y - before[1];
      this.fitted = "free";
    } else {
      if (!grip.moved) this.take(grip);
      this.rings[grip.r][grip.p] = this.picture(x, y);
    }
    grip.moved = true;
    this.canvas.classList.add("drag");
    this.draw();
  }

  take(grip) { // begin to move a point; a new one where the middle of a side was taken
    this.keep();
    if (grip.middle) {
      this.rings[grip.r].splice(grip.p + 1, 0, [0, 0]);
      grip.p += 1;
      this.selected = [grip.r, grip.p];
    }
    this.changed();
  }

  up(e) {
    const grip = this.grip;
    this.pointers.delete(e.pointerId);
    this.canvas.classList.remove("drag");
    this.grip = null;
    if (!grip || grip.moved || !this.editing) return;
    if (this.drawing) this.tapDrawing(e);
    else if (grip.kind === "point" && !grip.middle) this.tapPoint(e);
    else { this.selected = null; this.draw(); this.changed(); }
  }

  cancel(e) { this.pointers.delete(e.pointerId); this.grip = null; }

  tapDrawing(e) {
    const reach = REACH[e.pointerType] || REACH.mouse;
    const [x, y] = this.drawing.length ? this.screen(this.drawing[0]) : [-1e6, 0];
    if (this.drawing.length > 2 && Math.hypot(x - e.offsetX, y - e.offsetY) < reach) { this.close(); return; }
    this.drawing.push(this.picture(e.offsetX, e.offsetY));
    this.draw();
    this.changed();
  }

  tapPoint(e) { // twice removes it
    const last = this.tapped;
    this.tapped = { ms: e.timeStamp, x: e.offsetX, y: e.offsetY };
    if (e.timeStamp - last.ms < DOUBLE_MS && Math.hypot(last.x - e.offsetX, last.y - e.offsetY) < 20) this.removePoint();
  }

  pinch(id, x, y) {
    const [[a, before], [b, other]] = [...this.pointers].sort(([p]) => (p === id ? -1 : 1));
    const spread = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    const middle = (p, i) => (p[i] + other[i]) / 2;
    this.view.x += middle([x, y], 0) - middle(before, 0);
    this.view.y += middle([x, y], 1) - middle(before, 1);
    this.pointers.set(id, [x, y]);
    this.zoom(spread([x, y]) / spread(before), middle([x, y], 0), middle([x, y], 1));
  }

  hover(e) {
    const near = this.editing && !this.drawing && this.nearest(e.offsetX, e.offsetY, REACH.mouse);
    this.canvas.classList.toggle("point", Boolean(near));
    this.canvas.classList.toggle("draw", Boolean(this.drawing));
  }
}
