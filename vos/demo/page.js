// Keys that press a button of the page; `canvas.js` has those of the tools, and says them all.
const KEYS = { ' ': 'play', ArrowLeft: 'back', ArrowRight: 'forth', n: 'correct-next', l: 'locked' };

document.addEventListener('keydown', event => {
  const inside = event.target.closest('input, textarea, select, dialog, [contenteditable], [role=slider]');
  if (inside?.type === 'radio' && event.key.startsWith('Arrow')) return chooseNext(event);
  const typing = inside && !['radio', 'checkbox'].includes(inside.type);
  const name = typing || event.altKey ? null : asked(event);
  const part = name && document.getElementById(name);
  if (!part?.offsetParent) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  (part.querySelector('input') ?? part).click();
}, true);

function asked(event) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key; // whatever Caps Lock is
  if (command && key === 'y') return 'redo';
  if (command && key === 'Enter') return 'propagate';
  if (key === (command ? 'z' : 'u')) return event.shiftKey ? 'redo' : 'undo';
  if (command) return null;
  return key === ' ' && event.target.closest('button, input') ? null : KEYS[key];
}

function chooseNext(event) { // the radios of a choice are no group to the browser
  const all = [...event.target.closest('.block').querySelectorAll('input[type=radio]')];
  const by = ['ArrowDown', 'ArrowRight'].includes(event.key) ? 1 : all.length - 1;
  const next = all[(all.indexOf(event.target) + by) % all.length];
  event.preventDefault();
  next.focus();
  next.click();
}

// Beyond the last frame there is none: Gradio would refuse the number instead.
document.addEventListener('input', event => {
  const field = event.target;
  if (field.matches('#frame input[type=number]') && Number(field.value) > Number(field.max)) field.value = field.max;
}, true);

document.addEventListener('click', event => {
  const line = event.target.closest('[data-dismiss]')?.closest('.message');
  if (line) line.hidden = true;
});

// A tab knows that it had a video open, and says so where the server has it no more.
const WORKED = 'vos-worked';
let leaving = false;
new MutationObserver(() => {
  const note = document.querySelector('#limits .gone');
  if (document.querySelector('#work')) sessionStorage.setItem(WORKED, 'yes');
  else if (note && sessionStorage.getItem(WORKED)) {
    note.hidden = leaving;
    leaving = false;
    sessionStorage.removeItem(WORKED);
  }
}).observe(document, { childList: true, subtree: true });

// Where all places are taken, the page asks again until one is free.
const ASK_AGAIN = 10_000; // milliseconds
let asking;
new MutationObserver(() => {
  if (!document.querySelector('#problem [data-no-place]')) return;
  asking ??= setTimeout(() => location.reload(), ASK_AGAIN);
}).observe(document, { childList: true, subtree: true });

// Work that would be lost is asked about: masks by another video, strokes on their way by a reload.
document.addEventListener('click', event => {
  if (!event.target.closest('#close')) return;
  const masks = document.querySelector('#strip [data-masks]');
  leaving = !masks || confirm('Leave this video? Its marks and masks are removed.');
  if (leaving) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
window.addEventListener('beforeunload', event => {
  if (Number(document.querySelector('#canvas [data-waiting]')?.dataset.waiting)) event.preventDefault();
});

// A video that is too large is not sent at all: an hour of uploading would end in a refusal.
function refuseTooLarge(event, files) {
  const note = document.querySelector('#limits [data-megabytes]');
  if (!note || !files || !files.length || !event.target.closest('#upload')) return;
  const limit = Number(note.dataset.megabytes);
  const size = Math.ceil(files[0].size / 1e6);
  note.hidden = files[0].size <= limit * 1e6;
  if (note.hidden) return;
  note.textContent =
    `${files[0].name} has ${size} MB, the limit is ${limit} MB: cut it shorter or lower its resolution.`;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.target.type === 'file') event.target.value = '';
}
document.addEventListener('change', event => refuseTooLarge(event, event.target.files), true);
document.addEventListener('drop', event => refuseTooLarge(event, event.dataTransfer?.files), true);
