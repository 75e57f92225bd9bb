// Hands messages to the vault's smart host by SMTP.

import JSON
import MIME
import Model
import NIOCore
import Outbox
import SMTP
package import SMTPClient
package import SQL
import Sealing
package import Store
package import Vaults

package struct SmarthostRoute: Route {
    private let client: SMTPClientPool
    private let vaults: VaultDirectory
    private let payloads: Payloads
    private let hostname: String
    private let trustRootsPEM: String?

    /// - Parameters:
    ///   - hostname: our own name for EHLO.
    ///   - trustRootsPEM: certificates that are trusted beside the system's.
    package init(
        client: SMTPClientPool,
        vaults: VaultDirectory,
        database: any SQLDatabase,
        hostname: String,
        trustRootsPEM: String?
    ) {
        self.client = client
        self.vaults = vaults
        payloads = Payloads(database: database)
        self.hostname = hostname
        self.trustRootsPEM = trustRootsPEM
    }

    package func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome] {
        let first = messages[0]
        do {
            let destination = try await destination(of: first.vault)
            guard let bytes = try await payloads.message(first.id, in: first.vault) else {
                return messages.map {
                    RouteOutcome(message: $0, result: .failed, reply: Foreign("the message's body is no longer kept"))
                }
            }
            let outgoing = SMTPOutgoing(
                sender: first.sender, recipients: messages.map(\.recipient), data: ByteBuffer(bytes: bytes),
                needsSMTPUTF8: Self.hasUTF8Header(bytes))
            let result = await client.deliver(outgoing, to: destination)
            return zip(messages, result.outcomes).map { Self.outcome($0, $1.status, result) }
        } catch {
            // A setting taken away, a key that does not open, a database out of reach: all can be mended, so try again.
            let reason = PosternError(describing: error).detail
            return messages.map { RouteOutcome(message: $0, result: .deferred, reply: Foreign(reason)) }
        }
    }

    /// RFC 6531 §3.1: a header beyond ASCII may only go to a server that takes SMTPUTF8.
    private static func hasUTF8Header(_ bytes: [UInt8]) -> Bool {
        let end = (try? HeaderBlock.parse(bytes))?.bodyStart ?? bytes.count
        return bytes[..<end].contains { $0 > 0x7F }
    }

    private func destination(of vault: VaultID) async throws -> SMTPDestination {
        let settings = try await vaults.snapshot(of: vault).settings
        var credentials: SMTPCredentials?
        if let username = settings.value(Settings.smarthostUsername) {
            let password = try await vaults.secret(Settings.smarthostPassword.key, in: vault)
            credentials = SMTPCredentials(username: username, password: password?.reveal() ?? "")
        }
        let mode: SMTPClientTLS.Mode =
            switch try settings.require(Settings.smarthostTLS) {
            case .required: .required
            case .implicit: .implicit
            case .opportunistic: .opportunistic
            case .none: .none
            }
        return SMTPDestination(
            host: try settings.require(Settings.smarthostHost), port: try settings.require(Settings.smarthostPort),
            tls: SMTPClientTLS(mode, extraTrustRootsPEM: trustRootsPEM), credentials: credentials, heloName: hostname)
    }

    private static func outcome(
        _ message: ClaimedMessage,
        _ status: SMTPRecipientStatus,
        _ attempt: SMTPDeliveryResult
    ) -> RouteOutcome {
        switch status {
        case .delivered(let reply):
            return RouteOutcome(
                message: message, result: .delivered, reply: Foreign(reply.text),
                detail: detail(reply: reply.text, nil, attempt))
        case .transient(let failure):
            return RouteOutcome(
                message: message, result: .deferred, reply: Foreign(failure.reply?.text ?? failure.reason),
                detail: detail(reply: failure.reply?.text, failure, attempt))
        case .permanent(let failure):
            // What we refuse ourselves never reached anyone: it failed. What the peer refuses bounced.
            return RouteOutcome(
                message: message, result: failure.stage == .local ? .failed : .bounced,
                code: failure.reply.map { Int($0.code) }, enhancedCode: failure.enhanced.description,
                reply: Foreign(failure.reply?.text ?? failure.reason),
                detail: detail(reply: failure.reply?.text, failure, attempt))
        }
    }

    private static func detail(
        reply: String?,
        _ failure: SMTPFailure?,
        _ attempt: SMTPDeliveryResult
    ) -> Foreign<String> {
        var writer = JSONWriter(capacity: 1024)
        writer.object { writer in
            if let reply { writer.member("reply", reply) }
            if let failure {
                writer.member("reason", failure.reason)
                writer.member("enhanced_code", failure.enhanced.description)
                writer.member("stage", failure.stage.rawValue)
                if failure.ambiguous { writer.member("ambiguous", true) }
            }
            writer.member("peer", attempt.peer)
            writer.member("tls", attempt.tls)
            writer.member("transcript", attempt.transcript.lines)
        }
        return Foreign(writer.text)
    }
}
