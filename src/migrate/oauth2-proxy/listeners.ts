import { become, type Reading, tell } from './reading.ts'

/** Reads where the service listens, and whose forwarded headers count. */
export function readListeners(reading: Reading): void {
  const { values } = reading
  readPort(reading)
  tell(reading, 'reverse-proxy', 'carried', 'forwarded headers of `TRUSTED_PROXIES` always count')
  const proxies = values.list('trusted-proxy-ip').map((each) => each.trim())
  const isAll = proxies.some((each) => each.endsWith('/0'))
  if (proxies.length > 0 && !isAll) become(reading, 'trusted-proxy-ip', 'TRUSTED_PROXIES', proxies)
  else
    tell(
      reading,
      'trusted-proxy-ip',
      'stricter',
      'covers every address: `TRUSTED_PROXIES` keeps its default, loopback and private networks',
    )
  if (proxies.length === 0 && !values.has('trusted-proxy-ip'))
    reading.draft.note(
      'stricter',
      '--trusted-proxy-ip',
      'was not given, which trusted everybody: `TRUSTED_PROXIES` is loopback and private networks',
    )
  tell(
    reading,
    'real-client-ip-header',
    values.text('real-client-ip-header') === 'X-Forwarded-For' ? 'carried' : 'differs',
    'the address of a client is the right-most entry of `X-Forwarded-For` outside `TRUSTED_PROXIES`',
  )
  tell(reading, 'metrics-address', 'differs', '`/metrics` is on the internal port, 4181')
}

const OWN_PORT = 4180
const INTERNAL_PORT = 4181

/** Addresses that only this machine reaches, as `HOST` has them. */
const LOCAL: Readonly<Record<string, string>> = {
  '127.0.0.1': '127.0.0.1',
  localhost: '127.0.0.1',
  '[::1]': '::1',
}

function readPort(reading: Reading): void {
  const { values, draft } = reading
  const name = 'http-address'
  const [, address = '', port] = ADDRESS.exec(values.text(name) ?? '') ?? []
  if (port === undefined) {
    tell(reading, name, 'differs', 'is a socket: Vestibule listens at the ports 4180 and 4181')
    return
  }
  const number = Number(port)
  if (number !== OWN_PORT) draft.set('PORT', number)
  if (number === INTERNAL_PORT) draft.set('INTERNAL_PORT', INTERNAL_PORT + 1)
  const local = LOCAL[address]
  if (local !== undefined) draft.set('HOST', local)
  tell(reading, name, 'carried', 'is `PORT`; Traefik asks at the internal port')
}

const ADDRESS = /^(?:https?:\/\/)?(.*):(\d+)$/
