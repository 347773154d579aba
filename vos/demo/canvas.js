// The canvas: a frame, its objects, and hands on them. What is drawn is sent at once, one after the
// other, and shown meanwhile; the server answers with the frame as it then is.
const canvas = element.querySelector('canvas');
const sheet = element.querySelector('.sheet');
const sizeField = element.querySelector('.size input');
const awayField = element.querySelector('.away input');
const help = element.querySelector('dialog');
const context = canvas.getContext('2d');

const HINTS = matchMedia('(pointer: coarse)').matches ? {
  view: 'Go to a frame with the slider or the strip. Two fingers zoom and move.',
  points: 'Tap on {name}. Each tap corrects the mask.',
  box: 'Draw a box around {name}: its outline is found.',
  brush: 'Paint {name}. Two fingers zoom and move.',
  eraser: 'Erase; objects that are locked stay.',
} : {
  view: 'Go to a frame with the slider, the strip or the arrow keys; space plays. The wheel zooms.',
  points: 'Click on {name}; right or Alt click takes away. Each click corrects the mask.',
  box: 'Draw a box around {name}: its outline is found.',
  brush: 'Paint {name}; the right button erases. The wheel or [ ] sets the size.',
  eraser: 'Erase; objects that are locked stay. The wheel or [ ] sets the size.',
};
const KEYS = { v: 'view', p: 'points', x: 'box', b: 'brush', e: 'eraser' };

let state = null; // what the server told last
let frame = null, layer = null; // its pictures
let tool = 'view';
let view = { zoom: 1, x: 0, y: 0 }; // of the frame's middle, in CSS pixels from the sheet's
let pointer = null; // where the mouse is, in CSS pixels of the canvas
const touches = new Map(); // pointers that are down
let act = null; // what the hand is doing
let waiting = []; // drawn, not answered yet; the first is on its way
let onItsWay = 0;
let serial = Date.now();
let goal = null, asked = 0; // the frame to go to, and when the server was asked for one
let player = null; // what plays, see below
let whenThere = null; // what to do once the frame to go to is shown

// --- what the server says ---------------------------------------------------------------------

function load(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image);
}

async function take() {
  if (!props.value) return;
  const told = JSON.parse(props.value);
  const [newFrame, newLayer] = await Promise.all([load(told.frame), load(told.layer)]);
  if (state && told.serial < state.serial) return; // overtaken
  const other = !state || state.width !== told.width || state.height !== told.height;
  [state, frame, layer] = [told, newFrame, newLayer];
  if (other) {
    sheet.style.aspectRatio = `${state.width} / ${state.height}`;
    sheet.style.setProperty('--ratio', state.width / state.height);
    sizeField.value = Math.max(3, Math.round(Math.min(state.width, state.height) / 24));
    fit();
  }
  if (waiting.length && waiting[0].serial === state.answered) answered();
  if (!player) showIndex(state.index);
  canvas.dataset.serial = state.serial;
  canvas.dataset.clicks = state.clicks.length;
  showHint();
  draw();
  if (state.index === goal) goal = null;
  asked = 0;
  goOn();
  if (goal === null && whenThere) {
    const then = whenThere;
    whenThere = null;
    then();
  }
}

function showIndex(index) {
  canvas.dataset.index = index;
  const here = (index + 0.5) / (state.last + 1);
  document.getElementById('strip')?.style.setProperty('--here', `${100 * here}%`);
}

// Clicks on Step add up: the server is asked for one frame at a time, in the end for the last.
document.addEventListener('click', event => {
  const button = event.target.closest('#back, #forth');
  if (!button || !state) return;
  const next = (goal ?? state.index) + (button.id === 'forth' ? 1 : -1);
  goal = Math.min(Math.max(next, 0), state.last);
  goOn();
});

function goOn() {
  if (goal === null || Date.now() - asked < 3000) return; // a server that is gone is asked again
  asked = Date.now();
  trigger('go', { frame: goal });
}

// --- playing ----------------------------------------------------------------------------------

// Pictures are fetched ahead, and each is shown at its time. Where they come too late, every second
// frame is asked for, then every third: time goes as in the video.
const SECONDS_AHEAD = 1.5;
let stride = 1; // frames from one picture to the next

function play() {
  player = { ready: [], next: state.index, all: false, begun: null, shown: null };
  trigger('plays', { plays: true });
  fetchAhead(player);
  requestAnimationFrame(() => showNext(player));
}

async function fetchAhead(own) {
  const token = sessionStorage.getItem('vos-session');
  while (own === player && !own.all) {
    const buffered = own.ready.length ? own.ready.at(-1).time - own.ready[0].time : 0;
    if (buffered > SECONDS_AHEAD && own.ready.length > 1) {
      await new Promise(wake => setTimeout(wake, 50));
      continue;
    }
    const said = await server.pictures({ token, frame: own.next, step: stride, count: 12 }).catch(() => null);
    if (own !== player) return;
    if (!said?.pictures) return stop();
    for (const each of said.pictures) each.image = await load(each.picture);
    own.ready.push(...said.pictures);
    own.all = said.end;
    own.next = said.pictures.at(-1).index + stride;
  }
}

function showNext(own) {
  if (own !== player) return;
  const now = performance.now() / 1000;
  if (own.begun === null && own.ready.length) own.begun = now - own.ready[0].time;
  let latest = null;
  while (own.ready.length && own.ready[0].time <= now - own.begun) latest = own.ready.shift();
  if (latest) {
    own.shown = latest;
    showIndex(latest.index);
    draw();
  }
  if (!own.ready.length && own.all) return stop();
  if (latest && !own.ready.length) { // it goes on with what comes next
    own.begun = null;
    stride = Math.min(8, stride + 1);
  }
  requestAnimationFrame(() => showNext(own));
}

function stop({ go = true } = {}) { // on the frame that is shown
  const { shown } = player;
  player = null;
  stride = Math.max(1, stride - 1);
  trigger('plays', { plays: false });
  if (go && shown) goal = shown.index;
  goOn();
  draw();
}

// What a person does stops it; buttons do what they say on the frame that was shown.
document.addEventListener('click', event => {
  const button = event.target.closest('#work button');
  if (button?.id === 'play' && state) {
    event.stopPropagation();
    if (player) stop();
    else play();
  } else if (player && button && button.id !== 'close' && !element.contains(button)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    stop();
    whenThere = () => button.click();
    if (goal === null) whenThere();
  }
}, true);
document.addEventListener('pointerdown', event => {
  if (player && event.target.closest('#strip canvas, #strip .lines, #frame')) stop({ go: false });
}, true);

function send(kind, what) {
  serial += 1;
  waiting.push({ kind, serial, index: state.index, ...what });
  sendNext();
  draw();
}

function sendNext() {
  canvas.dataset.waiting = waiting.length;
  if (onItsWay || !waiting.length) return;
  const { kind, ...sent } = waiting[0];
  onItsWay = setTimeout(answered, 60000); // a server that is gone says so elsewhere
  if (kind === 'paint') trigger('paint', { sent });
  else trigger('point', { sent });
}

function answered() {
  clearTimeout(onItsWay);
  onItsWay = 0;
  waiting.shift();
  sendNext();
}

// --- where things are -------------------------------------------------------------------------

function scale() { // CSS pixels per pixel of the frame
  return view.zoom * Math.min(canvas.clientWidth / state.width, canvas.clientHeight / state.height);
}

function toFrame([x, y]) {
  const s = scale();
  return [(x - canvas.clientWidth / 2 - view.x) / s + state.width / 2,
          (y - canvas.clientHeight / 2 - view.y) / s + state.height / 2];
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function zoomAt([x, y], factor) {
  const zoom = Math.min(16, Math.max(1, view.zoom * factor));
  const dx = x - canvas.clientWidth / 2, dy = y - canvas.clientHeight / 2;
  const by = zoom / view.zoom;
  move(zoom, dx - (dx - view.x) * by, dy - (dy - view.y) * by);
}

function move(zoom, x, y) { // the frame never leaves the sheet
  const left = canvas.clientWidth * (zoom - 1) / 2, top = canvas.clientHeight * (zoom - 1) / 2;
  view = { zoom, x: Math.min(left, Math.max(-left, x)), y: Math.min(top, Math.max(-top, y)) };
  canvas.dataset.zoom = zoom.toFixed(2);
  canvas.style.touchAction = tool === 'view' && zoom === 1 ? 'pan-y' : 'none';
  draw();
}

function fit() { move(1, 0, 0); }

// --- drawing ----------------------------------------------------------------------------------

function draw() {
  if (!state || !canvas.clientWidth) return;
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const s = scale() * ratio;
  const [left, top] = toFrame([0, 0]);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(s, 0, 0, s, -left * s, -top * s);
  context.imageSmoothingEnabled = s < 4;
  if (player?.shown) return context.drawImage(player.shown.image, 0, 0, state.width, state.height);
  context.drawImage(frame, 0, 0, state.width, state.height);
  context.drawImage(painted(), 0, 0, state.width, state.height);
  const pixel = ratio / s; // one CSS pixel
  for (const [x, y, adds] of state.clicks) mark(x + 0.5, y + 0.5, adds, 1, pixel);
  for (const item of waiting) if (item.kind === 'point' && item.x !== undefined) mark(item.x, item.y, item.adds, 0.5, pixel);
  const box = act?.kind === 'box' ? act.corners : null;
  if (box) outline(...box[0], ...box[1], pixel);
  for (const item of waiting) if (item.corners) outline(...item.corners[0], ...item.corners[1], pixel);
  if (!box && state.box) outline(...state.box, pixel);
  if (pointer && (tool === 'brush' || tool === 'eraser')) ring(...toFrame(pointer), pixel);
}

function painted() { // the layer, with the strokes that are on their way
  const strokes = [...waiting, act].filter(item => item?.path);
  if (!strokes.length) return layer;
  const sheet = new OffscreenCanvas(layer.width, layer.height);
  const drawing = sheet.getContext('2d');
  drawing.drawImage(layer, 0, 0);
  const s = layer.width / state.width;
  for (const stroke of strokes) {
    const own = new OffscreenCanvas(layer.width, layer.height);
    line(own.getContext('2d'), stroke, s, state.colour);
    drawing.globalCompositeOperation = 'destination-out';
    drawing.drawImage(own, 0, 0);
    drawing.globalCompositeOperation = 'source-over';
    drawing.globalAlpha = 0.5;
    if (!stroke.erases) drawing.drawImage(own, 0, 0);
    drawing.globalAlpha = 1;
  }
  return sheet;
}

function line(drawing, stroke, s, colour) {
  drawing.lineCap = drawing.lineJoin = 'round';
  drawing.lineWidth = 2 * stroke.radius * s;
  drawing.strokeStyle = colour;
  drawing.beginPath();
  const [[x, y], ...rest] = stroke.path;
  drawing.moveTo(x * s, y * s);
  drawing.lineTo(x * s + 0.01, y * s);
  for (const [nx, ny] of rest) drawing.lineTo(nx * s, ny * s);
  drawing.stroke();
}

function mark(x, y, adds, alpha, pixel) {
  context.globalAlpha = alpha;
  context.lineWidth = 2 * pixel;
  context.beginPath();
  context.arc(x, y, 7 * pixel, 0, 2 * Math.PI);
  context.fillStyle = adds ? '#15803d' : '#b91c1c';
  context.fill();
  context.strokeStyle = 'white';
  context.stroke();
  context.beginPath();
  context.moveTo(x - 4 * pixel, y);
  context.lineTo(x + 4 * pixel, y);
  if (adds) {
    context.moveTo(x, y - 4 * pixel);
    context.lineTo(x, y + 4 * pixel);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function outline(left, top, right, bottom, pixel) {
  for (const [colour, dash] of [['black', []], ['white', [6 * pixel, 6 * pixel]]]) {
    context.setLineDash(dash);
    context.lineWidth = 2 * pixel;
    context.strokeStyle = colour;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.setLineDash([]);
}

function ring(x, y, pixel) {
  for (const [colour, wider] of [['black', 1], ['white', 0]]) {
    context.beginPath();
    context.arc(x, y, radius() + wider * pixel, 0, 2 * Math.PI);
    context.lineWidth = pixel;
    context.strokeStyle = colour;
    context.stroke();
  }
}

// --- hands ------------------------------------------------------------------------------------

function radius() { return Number(sizeField.value); }

function choose(name) {
  tool = name;
  for (const button of element.querySelectorAll('button[data-tool]')) {
    button.setAttribute('aria-pressed', button.dataset.tool === name);
  }
  element.querySelector('.size').hidden = name !== 'brush' && name !== 'eraser';
  element.querySelector('.away').hidden = name !== 'points';
  canvas.dataset.tool = name;
  showHint();
  move(view.zoom, view.x, view.y);
}

function showHint() {
  element.querySelector('.hint').textContent = HINTS[tool].replace('{name}', state?.name ?? 'an object');
}

function begin(event) {
  const at = toFrame(place(event));
  const from = { at: place(event), view, moved: false };
  if (event.button === 1 || tool === 'view') return { kind: 'pan', ...from };
  if (tool === 'box') return { kind: 'box', corners: [at, at] };
  if (tool === 'points') {
    const adds = event.button !== 2 && !event.altKey && !awayField.checked;
    return { kind: 'click', x: at[0], y: at[1], adds, ...from };
  }
  const erases = tool === 'eraser' || event.button === 2;
  return { kind: 'stroke', path: [at], radius: radius(), erases };
}

function follow(event) {
  const [x, y] = place(event);
  if (act.kind === 'stroke') {
    for (const step of event.getCoalescedEvents?.() ?? [event]) act.path.push(toFrame(place(step)));
  } else if (act.kind === 'box') {
    act.corners = [act.corners[0], toFrame([x, y])];
  } else {
    const dx = x - act.at[0], dy = y - act.at[1];
    act.moved ||= Math.hypot(dx, dy) > 5;
    if (act.moved) return move(act.view.zoom, act.view.x + dx, act.view.y + dy);
  }
  draw();
}

function end() {
  const done = act;
  act = null;
  const inside = done.x >= 0 && done.y >= 0 && done.x < state.width && done.y < state.height;
  if (done.kind === 'stroke') send('paint', { path: done.path, radius: done.radius, erases: done.erases });
  else if (done.kind === 'click' && !done.moved && inside) send('point', { x: done.x, y: done.y, adds: done.adds });
  else if (done.kind === 'box') {
    const [[left, top], [right, bottom]] = done.corners;
    if (Math.abs(right - left) * scale() > 4 && Math.abs(bottom - top) * scale() > 4) send('point', { corners: done.corners });
  }
  draw();
}

function pinch() { // two fingers, in every tool
  const [a, b] = [...touches.values()];
  const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const spread = Math.hypot(a[0] - b[0], a[1] - b[1]);
  if (act?.kind === 'pinch') {
    move(view.zoom, view.x + middle[0] - act.middle[0], view.y + middle[1] - act.middle[1]);
    zoomAt(middle, spread / act.spread);
  }
  act = { kind: 'pinch', middle, spread };
}

canvas.addEventListener('pointerdown', event => {
  if (!state) return;
  canvas.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, place(event));
  if (touches.size > 1) return pinch();
  event.preventDefault();
  canvas.focus({ preventScroll: true });
  if (player) return stop();
  act = begin(event);
  draw();
});
canvas.addEventListener('pointermove', event => {
  pointer = event.pointerType === 'touch' ? null : place(event);
  if (touches.has(event.pointerId)) touches.set(event.pointerId, place(event));
  if (touches.size > 1) pinch();
  else if (act && act.kind !== 'pinch') follow(event);
  else draw();
});
canvas.addEventListener('pointerup', event => {
  touches.delete(event.pointerId);
  if (act?.kind === 'pinch') act = touches.size ? act : null;
  else if (act) end();
});
canvas.addEventListener('pointercancel', event => {
  touches.delete(event.pointerId);
  act = null;
  draw();
});
canvas.addEventListener('pointerleave', () => { pointer = null; draw(); });
canvas.addEventListener('contextmenu', event => event.preventDefault());
canvas.addEventListener('wheel', event => {
  if (!state) return;
  event.preventDefault();
  const sizes = (tool === 'brush' || tool === 'eraser') && !event.ctrlKey && !event.metaKey;
  if (sizes) resize(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  else zoomAt(place(event), Math.exp(-event.deltaY / 400));
}, { passive: false });

function resize(factor) {
  const old = radius();
  const wanted = Math.round(old * factor);
  sizeField.value = wanted === old ? old + (factor > 1 ? 1 : -1) : wanted;
  draw();
}

const ZOOMS = { in: 1.5, out: 1 / 1.5 };
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button?.hasAttribute('data-help')) help.showModal();
  if (button?.dataset.tool) choose(button.dataset.tool);
  if (button?.dataset.zoom === 'fit') fit();
  else if (button?.dataset.zoom) zoomAt([canvas.clientWidth / 2, canvas.clientHeight / 2], ZOOMS[button.dataset.zoom]);
});
sizeField.addEventListener('input', draw);

document.addEventListener('keydown', event => {
  if (!canvas.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input:not([type=radio], [type=checkbox], [type=range]), textarea, select, [contenteditable]')) return;
  if (event.target.closest('dialog')) return;
  const key = event.key.toLowerCase();
  if (key === '?') help.showModal();
  else if (/^[1-9]$/.test(key)) document.querySelectorAll('#objects input')[key - 1]?.click();
  else if (KEYS[key]) choose(KEYS[key]);
  else if (key === '[' || key === ']') resize(key === ']' ? 1.15 : 1 / 1.15);
  else if (key === '+' || key === '=') zoomAt([canvas.clientWidth / 2, canvas.clientHeight / 2], ZOOMS.in);
  else if (key === '-') zoomAt([canvas.clientWidth / 2, canvas.clientHeight / 2], ZOOMS.out);
  else if (key === '0') fit();
  else if (key === 'escape') { act = null; draw(); }
});

new ResizeObserver(() => move(view.zoom, view.x, view.y)).observe(canvas);
watch('value', take);
choose('view');
take();
