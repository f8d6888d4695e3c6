// From strokes, or a picture, to the pixels that an image model takes.
//
// A drawing is fitted into a box of 20/28 of the image, keeping its proportions, and its centre of mass is put in
// the middle, as the images of MNIST were made (LeCun, Cortes and Burges, the MNIST database of handwritten digits).

const BOX = 20 / 28;
const PEN = 2.3 / 28;
const FINE = 8;
/** A drawing smaller than this share of the pad, a dot say, is not blown up to the whole box. */
const SMALLEST = 0.06;

/** Ink of 0 to 1 in rows, shape (height, width); null where nothing is drawn. Strokes are lists of [x, y], 0 to 1. */
export function fromStrokes(strokes, height, width) {
  const points = strokes.flat();
  if (points.length === 0) return null;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const side = Math.min(height, width);
  const pen = side * PEN;
  const scale = (side * BOX - pen) / Math.max(right - left, bottom - top, SMALLEST);
  const middle = { x: (left + right) / 2, y: (top + bottom) / 2 };
  const render = (dx, dy) =>
    paint(strokes.map((stroke) => stroke.map(([x, y]) => [(x - middle.x) * scale + width / 2 + dx, (y - middle.y) * scale + height / 2 + dy])), pen, height, width);
  const [x, y] = centreOfMass(render(0, 0));
  return render(width / 2 - x, height / 2 - y);
}

function paint(strokes, pen, height, width) {
  const canvas = new OffscreenCanvas(width * FINE, height * FINE);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.scale(FINE, FINE);
  Object.assign(brush, { lineWidth: pen, lineCap: "round", lineJoin: "round", strokeStyle: "#fff", fillStyle: "#fff" });
  for (const stroke of strokes) trace(brush, stroke);
  return shrink(brush.getImageData(0, 0, canvas.width, canvas.height), height, width);
}

/** Draw one stroke, smooth through its points; a single point is a dot. */
export function trace(brush, stroke) {
  const [first, ...rest] = stroke;
  brush.beginPath();
  if (rest.length === 0) {
    brush.arc(first[0], first[1], brush.lineWidth / 2, 0, 2 * Math.PI);
    brush.fill();
    return;
  }
  brush.moveTo(...first);
  for (let index = 0; index < rest.length - 1; index += 1) {
    const [[x, y], [u, v]] = [rest[index], rest[index + 1]];
    brush.quadraticCurveTo(x, y, (x + u) / 2, (y + v) / 2);
  }
  brush.lineTo(...rest.at(-1));
  brush.stroke();
}

/** Mean opacity of each square of fine pixels. */
function shrink(image, height, width) {
  const rows = [];
  for (let row = 0; row < height; row += 1) {
    const line = new Array(width).fill(0);
    for (let fine = row * FINE; fine < (row + 1) * FINE; fine += 1) {
      for (let x = 0; x < image.width; x += 1) line[Math.floor(x / FINE)] += image.data[(fine * image.width + x) * 4 + 3];
    }
    rows.push(line.map((sum) => sum / (255 * FINE * FINE)));
  }
  return rows;
}

function centreOfMass(rows) {
  let [mass, x, y] = [0, 0, 0];
  rows.forEach((line, row) => line.forEach((ink, column) => {
    mass += ink;
    x += ink * (column + 0.5);
    y += ink * (row + 0.5);
  }));
  return [x / mass, y / mass];
}

/** Brightness of 0 to 1 in rows of a picture, fitted whole into the shape. */
export function fromPicture(picture, height, width) {
  const canvas = new OffscreenCanvas(width, height);
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const scale = Math.min(width / picture.width, height / picture.height);
  const [w, t] = [picture.width * scale, picture.height * scale];
  Object.assign(brush, { imageSmoothingQuality: "high", fillStyle: "#000" });
  brush.fillRect(0, 0, width, height);
  brush.drawImage(picture, (width - w) / 2, (height - t) / 2, w, t);
  const { data } = brush.getImageData(0, 0, width, height);
  const light = (at) => (0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) / 255;
  return Array.from({ length: height }, (_, row) => Array.from({ length: width }, (__, column) => light((row * width + column) * 4)));
}

/** Values within the range of the field, in the 256 levels that are kept. */
export function toRange(rows, [low, high]) {
  const bytes = low === 0 && high === 255;
  return rows.map((line) => line.map((ink) => {
    const level = Math.round(Math.max(0, Math.min(1, ink)) * 255);
    return bytes ? level : low + (level / 255) * (high - low);
  }));
}

/** The inverse, for values that come from elsewhere. */
export function fromRange(rows, [low, high]) {
  return rows.map((line) => line.map((value) => (value - low) / (high - low)));
}
