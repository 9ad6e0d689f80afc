import type { Store } from '../store/store.ts'
import type { SessionCodec, SessionMetadata } from './records.ts'

/** Metadata of a session as found in the store. */
export type FoundMetadata =
  | { readonly kind: 'missing' }
  /** Damaged, or sealed with a key that this process does not have. */
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'known'; readonly metadata: SessionMetadata }

export interface MetadataReaderOptions {
  readonly store: Store
  readonly codec: SessionCodec
}

/** Returns a function that reads a session's metadata and rejects with the store's errors. */
export function createMetadataReader({ store, codec }: MetadataReaderOptions) {
  return async (digest: string): Promise<FoundMetadata> => {
    const sealed = await store.read(digest, ['metadata'])
    if (sealed.metadata === undefined) return { kind: 'missing' }
    const metadata = codec.open(digest, 'metadata', sealed.metadata)
    return metadata ? { kind: 'known', metadata } : { kind: 'unreadable' }
  }
}
