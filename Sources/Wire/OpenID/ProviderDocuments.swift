// Remembers what a provider says of itself, and its keys; asks again when they are old, or a token names a key that is not
// among them. However many sign in at once, each document is asked for once.

import JSON
import WebClient

actor ProviderDocuments {
    private struct Kept<Document: Sendable> {
        let document: Document
        /// Seconds since 1970.
        let readAt: Int64
    }

    private let issuer: String
    private let web: WebClient
    private let limits: OpenIDLimits
    private let now: @Sendable () -> Int64

    private var metadata: Kept<ProviderMetadata>?
    private var keys: Kept<ProviderKeys>?
    private var metadataReading: Task<Result<ProviderMetadata, OpenIDError>, Never>?
    private var keysReading: Task<Result<ProviderKeys, OpenIDError>, Never>?
    private var metadataFailure: (error: OpenIDError, at: Int64)?
    /// When the keys were read again because a token named one that was not among them.
    private var keysMissedAt: Int64?

    init(issuer: String, web: WebClient, limits: OpenIDLimits, now: @escaping @Sendable () -> Int64) {
        self.issuer = issuer
        self.web = web
        self.limits = limits
        self.now = now
    }

    func describe() async throws(OpenIDError) -> ProviderMetadata {
        if let metadata, now() - metadata.readAt < limits.lifetime { return metadata.document }
        do throws(OpenIDError) {
            return try await readMetadata()
        } catch {
            // An old word is better than none, and its addresses were checked.
            if let metadata, now() - metadata.readAt < limits.grace { return metadata.document }
            throw error
        }
    }

    /// The key that signed a token, from what is remembered or else from the provider, which may have a new one.
    func key(named id: String?, for algorithm: SigningAlgorithm) async throws(OpenIDError) -> ProviderKeys.Key {
        if let keys, now() - keys.readAt < limits.lifetime {
            if let key = keys.document.key(named: id, for: algorithm) { return key }
            // Whoever sends tokens with names of their own must not make us ask all the time.
            if let keysMissedAt, now() - keysMissedAt < limits.keyInterval, keysReading == nil { throw Self.unknownKey }
            keysMissedAt = now()
        }
        let read: ProviderKeys
        do throws(OpenIDError) {
            read = try await readKeys()
        } catch {
            guard let keys, now() - keys.readAt < limits.grace,
                let key = keys.document.key(named: id, for: algorithm)
            else { throw error }
            return key
        }
        guard let key = read.key(named: id, for: algorithm) else { throw Self.unknownKey }
        return key
    }

    private func readMetadata() async throws(OpenIDError) -> ProviderMetadata {
        if let metadataReading { return try await metadataReading.value.get() }
        if let (error, at) = metadataFailure, now() - at < limits.retryInterval { throw error }
        // A task of its own: those who wait share it, and it must not end with the one of them who came first.
        let reading = Task { [issuer, web, limits] () -> Result<ProviderMetadata, OpenIDError> in
            do throws(OpenIDError) {
                let bytes = try await web.document(
                    at: ProviderMetadata.address(of: issuer), "discovery document", limits: limits)
                return .success(try ProviderMetadata(bytes, issuer: issuer))
            } catch {
                return .failure(error)
            }
        }
        metadataReading = reading
        let result = await reading.value
        metadataReading = nil
        switch result {
        case .success(let document):
            metadata = Kept(document: document, readAt: now())
            metadataFailure = nil
        case .failure(let error): metadataFailure = (error, now())
        }
        return try result.get()
    }

    private func readKeys() async throws(OpenIDError) -> ProviderKeys {
        let address = try await describe().keysEndpoint
        if let keysReading { return try await keysReading.value.get() }
        // As above.
        let reading = Task { [web, limits] () -> Result<ProviderKeys, OpenIDError> in
            do throws(OpenIDError) {
                return .success(
                    try ProviderKeys(try await web.document(at: address, "set of keys", limits: limits), limits: limits)
                )
            } catch {
                return .failure(error)
            }
        }
        keysReading = reading
        let result = await reading.value
        keysReading = nil
        if case .success(let document) = result { keys = Kept(document: document, readAt: now()) }
        return try result.get()
    }

    private static let unknownKey = OpenIDError(
        .invalidToken, "the ID token is signed by a key that the provider does not have")
}
