// What a provider's own API looks like from outside: its paths, how it shows a key, how it answers and refuses. The HTTP door
// puts these in front of the same pipeline, so that a provider's client library works against Postern unchanged.

package import Dialects
package import Mapping
package import Model
package import Outbox
package import Rates
package import Sealing
package import Store
import Synchronization
package import Vaults

package struct ProviderRequest: Sendable {
    package let method: String
    /// As it was sent, percent-encoded and with the base: `/ses/v2/email/outbound-emails`.
    package let path: String
    /// As it was sent, without the question mark.
    package let query: String
    /// Names in lower case, `host` included.
    package let headers: [(name: String, value: String)]
    /// Of the path, percent-decoded.
    package let parameters: [String: String]
    /// Empty until the key is known to be good.
    package var body: [UInt8]
    package let requestID: String
    package let remoteAddress: String?

    package init(
        method: String, path: String, query: String = "", headers: [(name: String, value: String)] = [],
        parameters: [String: String] = [:], body: [UInt8] = [], requestID: String = "", remoteAddress: String? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.parameters = parameters
        self.body = body
        self.requestID = requestID
        self.remoteAddress = remoteAddress
    }

    /// The first field of the name, which is given in lower case.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}

package struct ProviderAnswer: Sendable {
    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

package protocol ProviderAPI: Sendable {
    /// What every path begins with: `/sendgrid`.
    var base: String { get }
    /// The base by which the setting `auth_mode` knows the operations: the same, but for a second way in.
    var settingsBase: String { get }
    var operations: [ProviderOperation] { get }

    /// The key that the request shows, in the provider's way. Called before the body is read.
    /// - Throws: `unauthorized`.
    func credentials(_ request: ProviderRequest) throws(PosternError) -> Secret<String>

    /// Looks at what needs the body, such as a signature, once the key is known to be good.
    /// - Throws: `unauthorized`.
    func verify(_ request: ProviderRequest, key: Secret<String>) throws(PosternError)

    /// Any error in the provider's form.
    /// - Parameter path: as in the request; some providers have more than one form.
    func refusal(_ error: PosternError, requestID: String, path: String) -> ProviderAnswer
}

extension ProviderAPI {
    package var settingsBase: String { base }
    package func verify(_ request: ProviderRequest, key: Secret<String>) throws(PosternError) {}
}

package struct ProviderOperation: Sendable {
    package typealias Handler = @Sendable (ProviderRequest, Caller, ProviderServices) async throws -> ProviderAnswer

    package let method: String
    /// Below the base, with parameters in braces: `/v3/{domain}/messages`.
    package let path: String
    package let action: Action
    package let handle: Handler

    package init(_ method: String, _ path: String, _ action: Action, _ handle: @escaping Handler) {
        self.method = method
        self.path = path
        self.action = action
        self.handle = handle
    }
}

/// What one call of an operation works on.
package final class ProviderServices: Sendable {
    package let pipeline: SendPipeline
    package let messages: MessageRepository
    package let vaults: VaultDirectory
    package let limiter: RateLimiter
    package let clock: any WallClock
    /// What is left of the limit that the call came nearest to, for the answer's header.
    private let rate = Mutex<RateStatus?>(nil)

    package init(
        pipeline: SendPipeline, messages: MessageRepository, vaults: VaultDirectory, limiter: RateLimiter,
        clock: any WallClock
    ) {
        self.pipeline = pipeline
        self.messages = messages
        self.vaults = vaults
        self.limiter = limiter
        self.clock = clock
    }

    /// Hands a payload to the pipeline.
    /// - Parameters:
    ///   - idempotencyKey: the caller's, from the provider's own field for it.
    ///   - part: which one of a batch this is, where each is accepted or refused on its own under one key.
    package func submit(
        _ dialect: Dialect,
        _ payload: NativePayload,
        by caller: Caller,
        request: ProviderRequest,
        idempotencyKey: String? = nil,
        part: Int? = nil
    ) async throws(PosternError) -> Receipt {
        let idempotency: IdempotencyKey? =
            if let idempotencyKey {
                IdempotencyKey(
                    key: try Self.key(idempotencyKey, part),
                    digest: Digest.sha256(
                        Array("\(dialect.rawValue)\0\(request.path)?\(request.query)\0".utf8) + request.body))
            } else { nil }
        let receipt = try await pipeline.submit(
            .native(dialect, payload), by: caller, through: .http, idempotency: idempotency)
        if let status = receipt.rate { rate.withLock { $0 = status } }
        return receipt
    }

    /// Entries of the audit log for what a call changes beside sending.
    package func audits(_ action: Action, by caller: Caller, _ request: ProviderRequest) -> AuditMaker {
        let actor = Actor(
            id: caller.identity.id, label: caller.label, door: Door.http.rawValue, address: request.remoteAddress,
            requestID: request.requestID)
        return { [clock, ids = pipeline.ids] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: actor, action: action.rawValue, resource: resource,
                before: before, after: after)
        }
    }

    /// A batch's key is checked as any other, and what is made of it for a part meets no key that a caller would choose.
    private static func key(_ text: String, _ part: Int?) throws(PosternError) -> String {
        let key = try IdempotencyKey.checked(text)
        guard let part else { return key }
        return Digest.hexadecimal(Digest.sha256(Array("\(key)\0\(part)".utf8)))
    }

    package var rateStatus: RateStatus? { rate.withLock { $0 } }
}
