// The strips: one line per object. The less sure an object is on a frame, the taller and the redder;
// blue where a person marked it. The frame in view is told by the canvas, in `--here`.
const UNKNOWN = 255;
const strips = element.querySelector('.strips');
const lines = element.querySelector('.lines');
const over = element.querySelector('.over');
let told = null;

function take() {
  if (!props.value) return;
  told = JSON.parse(props.value);
  strips.toggleAttribute('data-masks', told.masks); // `page.js` asks before they go
  element.querySelector('small span').textContent = told.text;
  const blank = element.querySelector('template').content.firstElementChild;
  while (lines.children.length < told.lines.length) lines.append(blank.cloneNode(true));
  while (lines.children.length > told.lines.length) lines.lastElementChild.remove();
  told.lines.forEach((line, number) => fill(lines.children[number], line));
  const [before, after] = over.querySelectorAll('.cut');
  before.style.width = `${100 * told.trim[0] / told.count}%`;
  after.style.width = `${100 * (told.count - 1 - told.trim[1]) / told.count}%`;
  draw();
}

function fill(row, line) { // in place, so that focus and scrolling stay
  row.classList.toggle('hidden-object', !line.visible);
  row.querySelector('button').dataset.object = line.id;
  row.querySelector('button').title = line.name + line.text;
  row.querySelector('i').style.background = line.colour;
  row.querySelector('.name').textContent = line.name;
  row.querySelector('.unseen').textContent = `${line.name}${line.text}; go there`;
}

function draw() {
  told?.lines.forEach((line, number) => drawLine(lines.children[number].querySelector('canvas'), line));
}

function drawLine(canvas, line) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
  if (!width) return;
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  const values = atob(line.values);
  const at = column => Math.round(column / values.length * width);
  for (let column = 0; column < values.length; column++) {
    const value = values.charCodeAt(column);
    if (value === UNKNOWN) continue;
    const doubt = Math.min(1, Math.max(0, (0.85 - value / 200) / 0.7)); // all below .15 is lost
    const tall = Math.max(0.2, doubt) * height;
    context.fillStyle = `hsl(${120 * (1 - doubt)} 65% 45%)`;
    context.fillRect(at(column), height - tall, Math.max(1, at(column + 1) - at(column)), tall);
  }
  const wide = Math.max(2, Math.min(6, canvas.clientWidth / told.count)) * ratio;
  context.fillStyle = '#2563eb';
  for (const mark of line.marks) context.fillRect((mark + 0.5) / told.count * width - wide / 2, 0, wide, height);
}

element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (button) return trigger('worst', { object: Number(button.dataset.object) });
  const box = over.getBoundingClientRect();
  const share = (event.clientX - box.left) / box.width;
  if (strips.contains(event.target) && share >= 0 && share < 1) trigger('click', { share });
});

new ResizeObserver(draw).observe(element);
watch('value', take);
take();
