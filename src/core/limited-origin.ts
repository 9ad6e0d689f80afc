/** The origin of a request as far as limits are concerned. */
export interface LimitedOrigin {
  /** An IPv4 address, or the /64 of an IPv6 address. */
  readonly address: string
  /** False where a proxy tells no address, so that it is its own, which everybody behind it shares. */
  readonly isTold: boolean
}
