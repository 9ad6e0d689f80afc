/** Client address by which requests are rate-limited. */
export interface LimitedOrigin {
  /** An IPv4 address, or the /64 of an IPv6 address. */
  readonly address: string
  /**
   * False where the proxy sends no client address: `address` is then the proxy's own, shared by all of its clients.
   */
  readonly isTold: boolean
}
