// The SMTP door: what the protocol hands over goes the same straight line as a submission by HTTP.

package import Audit
package import Gate
package import Logging
import MIME
import Mapping
import Metrics
package import Model
package import NIOCore
package import Outbox
import Policy
package import SMTP
package import SMTPServer
import Sealing
import Store
package import Vaults

package struct SMTPDoor: SMTPServerDelegate {
    private let pipeline: SendPipeline
    private let authenticator: Authenticator
    private let vaults: VaultDirectory
    private let gate: Gate
    private let refusals: RefusalRecorder
    private let logger: Logger

    package init(
        pipeline: SendPipeline, authenticator: Authenticator, vaults: VaultDirectory, gate: Gate,
        refusals: RefusalRecorder, logger: Logger
    ) {
        self.pipeline = pipeline
        self.authenticator = authenticator
        self.vaults = vaults
        self.gate = gate
        self.refusals = refusals
        self.logger = logger
    }

    /// What each verb asks the gate for. Those that are not here say nothing of a vault; DATA and BDAT ask in the pipeline.
    package enum Verb: String, CaseIterable, Sendable {
        case auth = "AUTH"
        case mail = "MAIL"
        case data = "DATA"
        case bdat = "BDAT"

        package var action: Action {
            switch self {
            case .auth: .smtpConnect
            case .mail, .data, .bdat: .messageSend
            }
        }
    }

    package func authenticate(
        _ attempt: SMTPAuthentication,
        connection: SMTPConnectionInfo
    ) async -> SMTPAuthenticationResult {
        guard attempt.authorizationID.isEmpty || attempt.authorizationID == attempt.username,
            let password = String(validating: attempt.password, as: UTF8.self)
        else { return .refused(.badCredentials) }
        do {
            let signIn = try await authenticator.signIn(
                username: attempt.username, password: Secret(password), from: connection.remoteAddress)
            // Reading the settings now means that MAIL, which cannot wait, finds them in memory.
            let vault = try await vaults.snapshot(of: signIn.caller.vault)
            try ask(signIn.caller, .auth, vault.standing, connection)
            let settings = vault.settings
            guard try settings.require(Settings.inboundSMTPEnabled) else {
                throw PosternError(.forbidden, "the vault does not take mail by SMTP")
            }
            return .accepted(identity: signIn)
        } catch {
            let error = PosternError(describing: error)
            logger.info(
                "an SMTP sign-in was refused",
                metadata: ["address": "\(connection.remoteAddress)", "code": "\(error.code.rawValue)"])
            switch error.code {
            case .unauthorized: return .refused(.badCredentials)
            // Whoever queues tries again: the vault may be resumed.
            case .vaultSuspended: return .refused(SMTPReply(454, EnhancedCode(4, 7, 0), error.detail.asciiLine))
            case .forbidden, .vaultArchived:
                return .refused(SMTPReply(535, EnhancedCode(5, 7, 1), error.detail.asciiLine))
            default: return .refused(.authenticationUnavailable)
            }
        }
    }

    package func mail(_ reversePath: SMTPReversePath, connection: SMTPConnectionInfo) -> SMTPReply? {
        guard let caller = Self.caller(connection) else { return Self.signInFirst }
        guard !reversePath.address.isEmpty else {
            return SMTPReply(550, EnhancedCode(5, 7, 1), "Give a sender's address: reports are not taken here")
        }
        guard let sender = try? EmailAddress(parsing: reversePath.address) else {
            return SMTPReply(
                553, EnhancedCode(5, 1, 7), "Give the sender as <name@domain>, with a fully qualified domain")
        }
        guard let vault = vaults.cachedSnapshot(of: caller.vault) else { return nil }
        do throws(PosternError) {
            try ask(caller, .mail, vault.standing, connection)
            try SenderDomainRule().check(
                sender, as: "the sender", PolicyContext(caller: caller, settings: vault.settings))
            return nil
        } catch {
            return Self.reply(to: error)
        }
    }

    package func recipient(
        _ recipient: SMTPRecipient,
        transaction: SMTPTransaction,
        connection: SMTPConnectionInfo
    ) -> SMTPReply? {
        guard (try? EmailAddress(parsing: recipient.address)) != nil else {
            return SMTPReply(
                553, EnhancedCode(5, 1, 3), "Give the recipient as <name@domain>, with a fully qualified domain")
        }
        return nil
    }

    package func message(
        _ transaction: SMTPTransaction,
        data: ByteBuffer,
        connection: SMTPConnectionInfo
    ) async -> SMTPReply {
        guard let caller = Self.caller(connection) else { return Self.signInFirst }
        do {
            let raw = RawSubmission(
                bytes: Array(data.readableBytesView),
                sender: try EmailAddress(parsing: transaction.reversePath.address),
                recipients: try transaction.recipients.map { try EmailAddress(parsing: $0.address) },
                trace: .init(
                    hello: connection.hello, address: connection.remoteAddress,
                    protocolName: transaction.protocolName, hasCheckedLines: true))
            let receipt = try await pipeline.submit(
                .mime(raw), by: caller, through: .smtp, idempotency: try Self.idempotency(raw))
            let more = receipt.entries.count > 1 ? " and \(receipt.entries.count - 1) more" : ""
            return SMTPReply(
                250, EnhancedCode(2, 0, 0), "Ok: queued as \(receipt.entries[0].id)\(more) (\(receipt.correlation))")
        } catch {
            let error = PosternError(describing: error)
            if error.code == .internalError {
                logger.error("a submission by SMTP failed", metadata: ["error": "\(error)"])
            }
            return Self.reply(to: error)
        }
    }

    private func ask(
        _ caller: Caller,
        _ verb: Verb,
        _ standing: VaultStanding,
        _ connection: SMTPConnectionInfo
    ) throws(PosternError) {
        do throws(PosternError) {
            try gate.authorize(.caller(caller), verb.action, on: .vault(caller.vault, standing))
        } catch {
            let actor = Actor(
                id: caller.identity.id, label: caller.label, door: Door.smtp.rawValue, address: connection.remoteAddress
            )
            refusals.note(actor, verb.action, resource: caller.vault.text, vault: caller.vault, error: error)
            throw error
        }
    }

    package func connectionOpened(_ connection: SMTPConnectionInfo) {
        Meter(label: "postern_smtp_connections").increment()
    }

    package func connectionClosed(_ connection: SMTPConnectionInfo, reason: SMTPCloseReason) {
        Meter(label: "postern_smtp_connections").decrement()
        logger.debug(
            "an SMTP connection ended",
            metadata: ["address": "\(connection.remoteAddress)", "reason": "\(reason)"])
    }

    /// Who signed in, as long as the login goes on: a session lasts longer than a decision.
    private static func caller(_ connection: SMTPConnectionInfo) -> Caller? {
        guard let signIn = connection.identity as? SignIn, signIn.isValid else { return nil }
        return signIn.caller
    }

    private static let signInFirst = SMTPReply(
        530, EnhancedCode(5, 7, 0),
        "Sign in with AUTH first; a session ends with its login and with its password, then over a new connection")

    private static func idempotency(_ raw: RawSubmission) throws(PosternError) -> IdempotencyKey? {
        guard let key = MIMEDialect.idempotencyKey(in: raw.bytes) else { return nil }
        return IdempotencyKey(key: try IdempotencyKey.checked(key), digest: raw.digest)
    }

    private static func reply(to error: PosternError) -> SMTPReply {
        let (category, subject, detail) = error.code.entry.smtpEnhanced
        var lines = [error.detail.asciiLine, error.fix.asciiLine, error.code.rawValue]
        if let seconds = error.retryAfter, error.code.entry.smtpCode < 500 {
            lines.insert("Try again in \(seconds) s", at: 1)
        }
        return SMTPReply(error.code.entry.smtpCode, EnhancedCode(category, subject, detail), lines)
    }
}

extension String {
    /// A reply's text is one line of printable ASCII (RFC 5321 §4.2) of a length that every client takes.
    fileprivate var asciiLine: String {
        var line: [UInt8] = []
        for scalar in unicodeScalars.prefix(400) {
            switch scalar {
            case "…": line += Array("...".utf8)
            case " "..."~": line.append(UInt8(scalar.value))
            default: line.append(UInt8(ascii: "?"))
            }
        }
        return String(decoding: line, as: UTF8.self)
    }
}
