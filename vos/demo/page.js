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
  return event.key === ' ' && event.target.closest('button') ? null : KEYS[event.key];
}

// While there are strokes in the editor, they are taken back one by one; marks come after them.
function strokeButton(name) {
  const label = { undo: 'Undo', redo: 'Redo' }[name];
  if (!label) return null;
  const button = document.querySelector(`#easel:not(.away) #editor button[aria-label="${label}"]`);
  return button && !button.disabled ? button : null;
}
document.addEventListener('click', event => {
  const strokes = strokeButton(event.target.closest('#undo, #redo')?.id);
  if (!strokes) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  strokes.click();
}, true);

// Work that would be lost is asked about: masks by another video, strokes by a reload.
document.addEventListener('click', event => {
  if (!event.target.closest('#close')) return;
  if (!document.querySelector('#strip [data-masks]') && !strokeButton('undo')) return;
  if (confirm('Leave this video? Its marks and masks are removed.')) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
window.addEventListener('beforeunload', event => {
  if (strokeButton('undo')) event.preventDefault();
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

// The editor takes in a frame and its layer piece by piece. A stroke begun meanwhile would be all
// that is left of the layer, and a picture taken meanwhile would lack it: hands are kept off until
// the edition that the hint names has come, and pictures wait for it.
const easel = {
  wanted: null,
  taken: null,
  get ready() { return this.wanted !== null && this.wanted === this.taken; },
  show() { document.getElementById('easel')?.toggleAttribute('data-ready', this.ready); },
};

new MutationObserver(() => {
  const wanted = document.querySelector('#hint [data-edition]')?.dataset.edition ?? null;
  if (wanted === easel.wanted) return;
  easel.wanted = wanted;
  easel.show();
  if (wanted && !window.editor?.add_layers_from_url) { // an editor of another make: give it time
    setTimeout(() => { easel.taken = wanted; easel.show(); }, 3000);
  }
}).observe(document, { childList: true, subtree: true, attributeFilter: ['data-edition'] });

function watchEditor(editor) {
  const takeIn = editor.add_layers_from_url?.bind(editor);
  const picture = editor.get_blobs?.bind(editor);
  if (!takeIn || !picture) return;
  editor.add_layers_from_url = async urls => {
    easel.taken = null;
    easel.show();
    placeLayers(editor);
    await takeIn(urls);
    easel.taken = urls?.[0]?.match(/-edition-(\d+)\.png/)?.[1] ?? null;
    easel.show();
  };
  editor.get_blobs = async () => {
    for (let waited = 0; easel.wanted && !easel.ready && waited < 20000; waited += 50) {
      await new Promise(again => setTimeout(again, 50));
    }
    return easel.ready ? picture() : { background: null, layers: [], composite: null };
  };
}

// Gradio puts a layer in the middle of all that the canvas holds, the empty canvas of the brush
// included: it belongs in the middle of the frame.
function placeLayers(editor) {
  const manager = editor.layer_manager;
  if (manager.placed) return;
  manager.placed = true;
  const add = manager.add_layer_from_url.bind(manager);
  manager.add_layer_from_url = url => {
    const all = manager.image_container;
    all.getLocalBounds = () => ({ x: 0, y: 0, width: editor.width, height: editor.height });
    try {
      return add(url); // asks for the bounds before it waits for anything
    } finally {
      delete all.getLocalBounds;
    }
  };
}

let editor;
Object.defineProperty(window, 'editor', {
  get: () => editor,
  set: made => { editor = made; watchEditor(made); },
});
