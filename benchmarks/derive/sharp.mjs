// Sharp as a service would use it: one process that lives long, orders on its input, files on its output.
// A frame is the header's length (4 bytes, big endian), a JSON header with `lengths`, and parts of those lengths.

import sharp from "sharp";

sharp.concurrency(Number(process.env.SHARP_CONCURRENCY));

// "plain": the input again for every file, as its documentation shows it; "once": decoded once, then from pixels.
// "resized" encodes nothing: what its own resizing gives, for the comparison of pictures.
const SOURCES = {
  plain: async (input) => () => sharp(input),
  once: async (input) => {
    const { data, info } = await sharp(input).raw().toBuffer({ resolveWithObject: true });
    return () => sharp(data, { raw: { width: info.width, height: info.height, channels: info.channels } });
  },
};

const make = (picture, [width, height], { quality, effort, resized }) => {
  const cut = picture.resize(width, height, { fit: "cover" });
  return (resized ? cut.raw() : cut.webp({ quality, effort })).toBuffer();
};

async function answer(order, input) {
  const open = await SOURCES[order.source](input);
  const files = await Promise.all(order.sizes.map((size) => make(open(), size, order)));
  return { header: { id: order.id }, parts: files };
}

function send({ header, parts }) {
  const text = Buffer.from(JSON.stringify({ ...header, lengths: parts.map((part) => part.length) }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  // One write each, none held back; a pipe that is full makes it wait.
  for (const part of [length, text, ...parts]) process.stdout.write(part);
}

// Chunks are joined once, when a frame is complete: joining at every chunk would cost Sharp's side time.
let chunks = [];
let held = 0;
let needed = 4;

function take(count) {
  const all = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  chunks = all.length > count ? [all.subarray(count)] : [];
  held -= count;
  return all.subarray(0, count);
}

let header = null;
let next = "length";
process.stdin.on("data", (chunk) => {
  chunks.push(chunk);
  held += chunk.length;
  while (held >= needed) {
    const part = take(needed);
    if (next === "length") [next, needed] = ["header", part.readUInt32BE()];
    else if (next === "header") {
      header = JSON.parse(part.toString());
      [next, needed] = ["input", header.lengths[0]];
    } else {
      const order = header;
      [next, needed] = ["length", 4];
      answer(order, part).then(send, (error) => send({ header: { id: order.id, error: String(error) }, parts: [] }));
    }
  }
});
process.stdin.on("end", () => process.exit(0));
send({ header: { id: 0, sharp: sharp.versions.sharp, vips: sharp.versions.vips, webp: sharp.versions.webp, node: process.version }, parts: [] });
