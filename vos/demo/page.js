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
