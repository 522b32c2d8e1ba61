// Builds the page's elements. Text goes in as text, never as HTML, whoever wrote it.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  back: ["M15 5l-7 7 7 7"],
  send: ["M3.5 20.2v-6.4L12 12l-8.5-1.8V3.8L22 12z"],
  attach: ["M19 11.500l-7.3 7.300a4.6 4.6 0 0 1-6.5-6.500l7.8-7.800a3.1 3.1 0 0 1 4.4 4.400l-7.7 7.700a1.5 1.5 0 0 1-2.2-2.200l6.7-6.6"],
  emoji: ["M12 3a9 9 0 1 0 .01 0z", "M9 9.500v.6", "M15 9.500v.6", "M8 14q4 4.5 8 0"],
  reply: ["M10 6l-6 6 6 6", "M4.5 12H14q6 0 6 6.5"],
  list: ["M9 7h11", "M9 12h11", "M9 17h11", "M4.5 7v.1", "M4.5 12v.1", "M4.5 17v.1"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  down: ["M6 9.500l6 6 6-6"],
  file: ["M6 3h8l5 5v13H6z", "M14 3v5h5"],
  sound: ["M9 4.500a3 3 0 0 1 6 0V11a3 3 0 0 1-6 0z", "M5.5 11a6.5 6.5 0 0 0 13 0", "M12 17.500V21"],
  camera: ["M4 7.5h3.500l1.5-2.500h6l1.5 2.500H20V19H4z", "M12 9.800a3.2 3.2 0 1 0 .01 0z"],
  lock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 7 0v3"],
  place: ["M12 21c5-5.500 7-8.500 7-11.500a7 7 0 0 0-14 0c0 3 2 6 7 11.500z", "M12 7.200a2.3 2.3 0 1 0 .01 0z"],
  person: ["M12 4a4 4 0 1 0 .01 0z", "M4.500 20.500c1-4.500 4-6 7.500-6s6.500 1.500 7.500 6z"],
  more: ["M5.500 12v.1", "M12 12v.1", "M18.500 12v.1"],
  edit: ["M5 19l1-4L16 5l3 3L9 18z"],
  gone: ["M12 3.500a8.500 8.500 0 1 0 .01 0z", "M6.200 6.200l11.600 11.600"],
  link: ["M14 4h6v6", "M20 4l-9 9", "M17 14v6H4V7h6"],
  smile: ["M12 3a9 9 0 1 0 .01 0z", "M8 14q4 4.5 8 0"],
  check: ["M5 12.500l5 5 9.5-11"],
};

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

export function icon(name) {
  return drawing("0 0 24 24", ICONS[name], "icon");
}

export function button(className, label, iconName = "") {
  const node = make("button", className);
  node.type = "button";
  if (iconName) {
    node.append(icon(iconName));
    node.setAttribute("aria-label", label);
    node.title = label;
  } else {
    node.textContent = label;
  }
  return node;
}

const TICKS = {
  sent: ["Sent", ["M4 6.500l3.5 3.500L14 2.5"]],
  delivered: ["Delivered", ["M1 6.500l3.5 3.500L11 2.5", "M8.5 9.500l.5.5 6.5-7.5"]],
  read: ["Read", ["M1 6.500l3.5 3.500L11 2.5", "M8.5 9.500l.5.5 6.5-7.5"]],
};

export function tick(status) {
  const [label, paths] = TICKS[status] ?? TICKS.sent;
  const node = make("span", `tick tick-${status}`);
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  node.title = label;
  node.append(drawing("0 0 17 12", paths, ""));
  return node;
}

export function avatar(name, className = "") {
  const letter = Array.from(name.trim())[0] ?? "?";
  const hue = Array.from(name).reduce((sum, char) => sum * 31 + char.codePointAt(0), 7) % 6;
  const node = make("span", `avatar hue-${hue} ${className}`, letter.toUpperCase());
  node.setAttribute("aria-hidden", "true");
  return node;
}

export function clockTime(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
}

export function dayName(at) {
  const day = new Date(at * 1000);
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight - day) / 86400000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return day.toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
}

export function phoneNumber(digits) {
  const parts = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  if (!digits) return "";
  return parts ? `+1 ${parts[1]} ${parts[2]} ${parts[3]}` : `+${digits}`;
}

export function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function drawing(box, paths, className) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", box);
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}
