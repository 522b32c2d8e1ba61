// Returns each piece of visible text, and each drawing, whose contrast is below what WCAG 2.2 asks for (AA, 1.4.3 and
// 1.4.11), as one line each.
() => {
  const parse = (text) => {
    const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const luminance = (colour) => {
    const [r, g, b] = colour.map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const contrast = (node) => {
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const ground = behind(node);
    const [r, g, b, a] = parse(getComputedStyle(node).color);
    const [light, dark] = [luminance(over([r, g, b, a * opacity], ground)), luminance(ground)].sort((x, y) => y - x);
    return opacity ? (light + 0.05) / (dark + 0.05) : Infinity; // what nobody sees has none
  };
  const isLooked = (node) => node.checkVisibility({ checkVisibilityCSS: true }) && !node.closest("option, optgroup, :disabled");
  const found = new Set();
  const judge = (node, wanted, name) => {
    const ratio = contrast(node);
    if (ratio < wanted) found.add(`${ratio.toFixed(2)} ${node.className.baseVal ?? node.className} ${name}`);
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const text = words.currentNode.textContent.trim();
    const node = words.currentNode.parentElement;
    if (!/[\p{L}\p{N}]/u.test(text) || !isLooked(node)) continue;
    const { fontSize, fontWeight } = getComputedStyle(node);
    const isLarge = parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && Number(fontWeight) >= 700);
    judge(node, isLarge ? 3 : 4.5, text.slice(0, 40));
  }
  for (const drawing of document.querySelectorAll("svg")) {
    if (isLooked(drawing)) judge(drawing, 3, `drawing in ${drawing.parentElement.className}`);
  }
  return [...found];
}
