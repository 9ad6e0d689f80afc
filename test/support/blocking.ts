import { createSocket } from 'node:dgram'

/** Loaded before the service (`node --import`): a datagram with a number of milliseconds keeps its event loop busy as long. */
for (const port of (process.env['BLOCKING_PORTS'] ?? '').split(',')) {
  createSocket('udp4')
    .on('message', (message) => {
      const endMs = performance.now() + Number(message.toString())
      while (performance.now() < endMs);
    })
    .bind(Number(port), '127.0.0.1')
    .unref()
}
