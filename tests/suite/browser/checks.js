// What a reader with a browser would find wrong with the page that is open: a sentence each.
(() => {
  const SMALLEST_TEXT_PX = 7, TEXT_CONTRAST = 4.5, DRAWING_CONTRAST = 2.2;
  const problems = [];
  const name = (e) => {
    const words = (e.dataset?.text || e.textContent || '').trim().replace(/\s+/g, ' ').slice(0, 40);
    return `${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''} "${words}"`;
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const seen = (e) => e.checkVisibility({ contentVisibilityAuto: true }) && e.getClientRects().length > 0;

  // Width.
  const page = document.documentElement;
  if (page.scrollWidth > window.innerWidth) {
    problems.push(`overflow: the page is ${page.scrollWidth} px wide in a window of ${window.innerWidth} px`);
  }
  // An element wider than its scrolling box may be scrolled to; any other sticks out.
  const scrolls = (e) => e && (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of all('body *')) {
    if (e instanceof SVGElement || !seen(e) || e.classList.contains('skip')) continue;
    if (e.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(e)) {
      problems.push(`overflow: ${name(e)} sticks out of the page`);
    }
  }

  // Figures.
  for (const figure of all('figure')) {
    const svg = figure.querySelector('svg');
    const box = svg && svg.getBoundingClientRect();
    if (!box || box.width < 50 || box.height < 20 || !svg.childElementCount) {
      problems.push(`figure: ${name(figure)} shows nothing`);
      continue;
    }
    const alt = figure.querySelector('[role=img]')?.getAttribute('aria-label') || '';
    if (!alt.trim()) problems.push(`alt: ${name(figure)} has no alternative text`);
    if (!(figure.querySelector('figcaption')?.textContent || '').trim()) {
      problems.push(`caption: ${name(figure)} has none`);
    }
    // Text may be drawn as outlines on a square of 1000 units.
    for (const text of svg.querySelectorAll('text, [data-text]')) {
      const matrix = text.getScreenCTM();
      const units = text.tagName === 'text' ? parseFloat(getComputedStyle(text).fontSize) : 1000;
      const size = units * Math.hypot(matrix.a, matrix.b);
      if (size < SMALLEST_TEXT_PX) problems.push(`small: ${name(text)} is ${size.toFixed(1)} px high`);
      const at = text.getBoundingClientRect();
      if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 || at.bottom > box.bottom + 1) {
        problems.push(`cut: ${name(text)} reaches out of its figure`);
      }
    }
  }
  if (all('img:not([alt])').length) problems.push('alt: an image has no alternative text');

  // Tables.
  for (const cell of all('th, td')) {
    if (!seen(cell)) continue;
    if (cell.scrollWidth > cell.clientWidth + 1) problems.push(`cell: ${name(cell)} is wider than its box`);
    const range = document.createRange();
    range.selectNodeContents(cell);
    const [text, box] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
    if (text.width > 0 && (text.right > box.right + 1 || text.bottom > box.bottom + 1 || text.left < box.left - 1)) {
      problems.push(`cell: ${name(cell)} reaches out of its box`);
    }
  }
  for (const head of all('th:not([scope])')) problems.push(`scope: ${name(head)} does not say what it heads`);

  // Ink on paper.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) known.set(colour, pixel(colour));
    return known.get(colour);
  };
  const pixel = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const papers = new Map([[null, [255, 255, 255, 255]]]);
  const paper = (e) => {
    if (!papers.has(e)) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      papers.set(e, colour[3] > 250 ? colour : paper(e.parentElement));
    }
    return papers.get(e);
  };
  const contrast = (ink, e) => {
    const [a, b] = [light(ink), light(paper(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const judge = (e, ink, least) => {
    const found = contrast(rgba(ink), e);
    if (found < least) problems.push(`contrast: ${name(e)} has ${found.toFixed(1)} : 1`);
  };
  for (const e of all('body, body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!(own || e.dataset.text) || !seen(e)) continue;
    const style = getComputedStyle(e);
    if (e.closest('svg')) judge(e, style.fill, DRAWING_CONTRAST);
    else judge(e, style.color, TEXT_CONTRAST);
  }

  // Anchors.
  const ids = all('[id]').map((e) => e.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) problems.push(`id: "${id}" is there twice`);
  for (const a of all('a[href^="#"]')) {
    if (!document.getElementById(decodeURIComponent(a.hash.slice(1)))) problems.push(`link: ${name(a)} leads nowhere`);
  }
  const body = getComputedStyle(document.body);
  return JSON.stringify({ problems, ink: body.color, paper: body.backgroundColor });
})()
