/** Proxies for requests to providers and issuers. */
export interface Proxies {
  /** Address of the proxy for `http://` addresses, with its credentials. */
  readonly http?: string
  /** Address of the proxy for `https://` addresses, with its credentials. */
  readonly https?: string
  /** Returns whether a host is asked without a proxy; the hostname is that of a parsed URL. */
  readonly isBypassed: (hostname: string, port: number) => boolean
}
