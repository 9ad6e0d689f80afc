import type { Config } from '../../config/config.ts'
import { metadataUrlOf, type ProviderAddresses } from '../../oidc/discovery/internal-address.ts'

/** Returns the addresses of the provider, one for browsers and one for the service. */
export function addressesOf({ settings }: Config): ProviderAddresses {
  const { OIDC_ISSUER_URL: issuerUrl, OIDC_INTERNAL_URL: internalUrl } = settings
  return { issuerUrl, ...(internalUrl && { internalUrl }) }
}

/** Returns the address of the metadata, as the service asks for it. */
export function findMetadataUrl(config: Config): string {
  return metadataUrlOf(addressesOf(config))
}
