// Keys: space plays, arrows step, u (or Ctrl+Z outside the editor) takes the last mark back.
document.addEventListener('keydown', event => {
  const inside = event.target.closest('input, textarea, select, [contenteditable], [role=slider]');
  const typing = inside && !['radio', 'checkbox'].includes(inside.type);
  if (typing || event.altKey || event.metaKey) return;
  const undoing = event.key === 'u' || (event.ctrlKey && event.key === 'z');
  const painting = event.target.closest('#editor');
  if (event.ctrlKey && !undoing) return;
  const button =
    event.key === ' ' && !event.target.closest('button') ? 'play'
    : event.key === 'ArrowLeft' ? 'back'
    : event.key === 'ArrowRight' ? 'forth'
    : undoing && !painting ? 'undo'
    : null;
  const element = button && document.getElementById(button);
  if (!element || !element.offsetParent) return;
  event.preventDefault();
  element.click();
}, true);

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
