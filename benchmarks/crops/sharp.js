// Where Sharp cuts. Reads lines of JSON ({"file", "width", "height", "strategy"}), writes one line of JSON for each
// ({"left", "top"}). Windows are asked for in the picture's own pixels, so nothing is scaled.
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.concurrency(1);
for await (const line of createInterface({ input: process.stdin })) {
  const { file, width, height, strategy } = JSON.parse(line);
  const { info } = await sharp(file)
    .resize(width, height, { fit: "cover", position: sharp.strategy[strategy] })
    .raw()
    .toBuffer({ resolveWithObject: true });
  console.log(JSON.stringify({ left: -info.cropOffsetLeft || 0, top: -info.cropOffsetTop || 0 }));
}
