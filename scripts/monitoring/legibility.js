// Evaluated in a page: what of it a person could not read. Contrast as in WCAG 2.2, success criteria 1.4.3 and 1.4.11.
(() => {
  const TEXT_CONTRAST = 4.5;
  const DRAWING_CONTRAST = 3;
  const SMALLEST = 12; // CSS pixels
  const WHITE = { r: 255, g: 255, b: 255, a: 1 };

  const rgba = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({
    r: top.r * top.a + below.r * (1 - top.a),
    g: top.g * top.a + below.g * (1 - top.a),
    b: top.b * top.a + below.b * (1 - top.a),
    a: 1,
  });
  const luminance = ({ r, g, b }) => {
    const [R, G, B] = [r, g, b].map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  // What stands behind an element: its ancestors' colours, one over the other. The page paints its whole ground itself.
  const ground = (element) => {
    if (!element) return WHITE;
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own : over(own, ground(element.parentElement));
  };

  const faults = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    if (!text) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const ratio = contrast(over(rgba(style.color), behind), behind);
    if (ratio < TEXT_CONTRAST) faults.push(`"${text}": its contrast is ${ratio.toFixed(2)}`);
    if (parseFloat(style.fontSize) < SMALLEST) faults.push(`"${text}": it is ${style.fontSize} small`);
    if (!box.width || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
      faults.push(`"${text}": it is not shown`);
    if (box.left < 0 || box.right > innerWidth + 0.5) faults.push(`"${text}": it reaches beyond the window`);
  }
  for (const line of document.querySelectorAll("svg polyline")) {
    const behind = ground(line.parentElement);
    const ratio = contrast(over(rgba(getComputedStyle(line).stroke), behind), behind);
    if (ratio < DRAWING_CONTRAST) faults.push(`a line: its contrast is ${ratio.toFixed(2)}`);
  }
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) faults.push(`it is ${scrollWidth} pixels wide in a window of ${innerWidth}`);
  const state = document.querySelector(".state");
  const box = state?.getBoundingClientRect();
  if (!box || box.top < 0 || box.bottom > innerHeight) faults.push("the sentence cannot be read without scrolling");
  return {
    faults,
    texts,
    sentence: state?.textContent ?? "",
    tone: state?.className ?? "",
    drawings: document.querySelectorAll("svg polyline").length,
  };
})();
