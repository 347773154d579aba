// Keys: space plays, arrows step, u or Ctrl+Z takes back; with Shift, or Ctrl+Y, does it again.
const KEYS = { ' ': 'play', ArrowLeft: 'back', ArrowRight: 'forth' };

document.addEventListener('keydown', event => {
  const inside = event.target.closest('input, textarea, select, [contenteditable], [role=slider]');
  const typing = inside && !['radio', 'checkbox'].includes(inside.type);
  const name = typing || event.altKey ? null : asked(event);
  const button = name && document.getElementById(name);
  if (!button?.offsetParent) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  button.click();
}, true);

function asked(event) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase(); // whatever Caps Lock is
  if (command && key === 'y') return 'redo';
  if (key === (command ? 'z' : 'u')) return event.shiftKey ? 'redo' : 'undo';
  if (command) return null;
  return event.key === ' ' && event.target.closest('button, input') ? null : KEYS[event.key];
}

// Work that would be lost is asked about: masks by another video, strokes on their way by a reload.
document.addEventListener('click', event => {
  if (!event.target.closest('#close')) return;
  if (!document.querySelector('#strip [data-masks]')) return;
  if (confirm('Leave this video? Its marks and masks are removed.')) return;
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
