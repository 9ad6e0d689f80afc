import type { OnRefused, RefusalKind } from '../listener/refused-connection.ts'
import type { Log } from '../telemetry/log.ts'

/** Setting that gives the port of a listener. */
export type PortSetting = 'PORT' | 'INTERNAL_PORT'

/** Sentence about each kind of refused connection, with what helps. */
const REASON: Readonly<Record<RefusalKind, string>> = {
  tls_to_plain: 'the client speaks TLS and this port does not: use http://',
  http2_to_plain: 'the client speaks HTTP/2 without TLS and this port does not: use HTTP/1.1',
  plain_to_tls: 'the client speaks no TLS and this port does: use https://',
  handshake:
    'the TLS handshake failed: compare the versions, and the authority that the client trusts',
  handshakes: 'too many handshakes ran or waited at once, so the oldest were closed',
  http2: 'the client exceeded a bound or broke a rule of HTTP/2, so its connection was closed',
  idle: 'too many connections were idle, so those that had been idle for longest were closed',
}

/** Setting that helps on the internal listener. */
const SETTING: Readonly<Partial<Record<RefusalKind, string>>> = {
  tls_to_plain: 'INTERNAL_TLS_CERT_FILE',
  http2_to_plain: 'INTERNAL_TLS_CERT_FILE',
  plain_to_tls: 'INTERNAL_TLS_CERT_FILE',
  handshake: 'INTERNAL_TLS_CERT_FILE',
}

/** Creates the log of a listener's refused connections. */
export function createRefusalReport(port: PortSetting, log: Log): OnRefused {
  return ({ kind, ...facts }) => {
    const setting = port === 'INTERNAL_PORT' ? SETTING[kind] : port
    log.warn(
      {
        event: 'connection_refused',
        code: kind,
        listener: port,
        ...facts,
        reason: REASON[kind],
        ...(setting !== undefined && { setting }),
      },
      'a connection was refused or closed because of what its client sent',
    )
  }
}
