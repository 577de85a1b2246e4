// Node's fetch, with a buffer and with a stream.

import { createReadStream, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';

const [url, file, ...uploads] = process.argv.slice(2);
for (const upload of uploads) {
  const body = upload.startsWith('chunked')
    ? { body: Readable.toWeb(createReadStream(file)), duplex: 'half' }
    : { body: readFileSync(file) };
  try {
    const answer = await fetch(url, { method: 'POST', headers: { 'X-Test-Id': upload }, ...body });
    await answer.text();
    const told = (name) => answer.headers.get(name) ?? '-';
    console.log(upload, answer.status, told('X-Sim-Body-Length'), told('X-Sim-Body-Sha256'));
  } catch (e) {
    console.log(upload, 'failed:', e.message, e.cause?.message ?? '');
  }
}
