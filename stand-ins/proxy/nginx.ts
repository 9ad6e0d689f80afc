import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { startProcess } from '../process.ts'
import { steadyPort } from '../steady-port.ts'

export interface Served {
  readonly status: number
  /** Path that nginx serves, or the script that it runs for the path. */
  readonly path: string
}

export interface RunningNginx extends AsyncDisposable {
  /** Requests a target exactly as written. */
  readonly serve: (mergesSlashes: boolean, target: string) => Promise<Served>
}

const server = (port: number, merge: 'on' | 'off') => `
  server {
    listen 127.0.0.1:${port};
    merge_slashes ${merge};
    default_type text/plain;
    location / { return 200 $uri; }
    location ~ \\.php(?:/|$) {
      fastcgi_split_path_info ^(.+?\\.php)(/.*)?$;
      return 200 $fastcgi_script_name;
    }
  }`

/** Starts nginx from PATH, configured to answer with the path that it would serve. */
export const startNginx = async (): Promise<RunningNginx> => {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-nginx-'))
  const ports = [await steadyPort(), await steadyPort()] as const
  const file = join(folder, 'nginx.conf')
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder};`)
    .join(' ')
  await writeFile(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr emerg;
events {}
http {
  access_log off; large_client_header_buffers 4 32k; ${places}
${server(ports[0], 'on')}
${server(ports[1], 'off')}
}`,
  )
  const running = startProcess('nginx', ['-p', folder, '-e', 'stderr', '-c', file])
  const agent = new Agent({ keepAlive: true })

  const serve: RunningNginx['serve'] = async (mergesSlashes, path) => {
    const answered = Promise.withResolvers<Served>()
    request({ host: '127.0.0.1', port: ports[mergesSlashes ? 0 : 1], path, agent })
      .on('response', (message) => {
        text(message).then(
          (body) => answered.resolve({ status: message.statusCode ?? 0, path: body }),
          answered.reject,
        )
      })
      .on('error', answered.reject)
      .end()
    return answered.promise
  }
  const isReady = () =>
    serve(true, '/').then(
      () => true,
      () => false,
    )
  while (!(await isReady())) {
    if (running.child.exitCode !== null) throw new Error(`nginx: ${running.output()}`)
    await pause(20)
  }
  return {
    serve,
    [Symbol.asyncDispose]: async () => {
      agent.destroy()
      await running.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
