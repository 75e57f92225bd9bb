// The ways to tell somebody: a webhook, and an e-mail by the instance's own pipeline.

import Crypto
package import Model
package import Sealing

/// A way to tell somebody. One that fails is tried again, so it may hear of the same notice twice.
package protocol AlertChannel: Sendable {
    /// In metrics and in the log.
    var name: String { get }

    /// Returns when the message was taken.
    func deliver(_ message: AlertMessage) async throws
}

/// One HTTP POST to the address that the operator configured.
package protocol AlertWebhook: Sendable {
    /// - Returns: the answer's status.
    /// - Throws: when there was no answer in time; the error names no secret.
    func post(_ body: [UInt8], headers: [(name: String, value: String)]) async throws -> Int
}

/// One e-mail to addresses that somebody configured.
package protocol AlertMail: Sendable {
    /// Returns when the letter is accepted for good. A letter with the same key is accepted once.
    func send(subject: String, text: String, key: String) async throws
}

/// Why a channel did not take a notice.
package struct AlertChannelError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

package struct WebhookAlertChannel: AlertChannel {
    package let name = "webhook"
    private let webhook: any AlertWebhook
    private let secret: Secret<String>?
    private let clock: any WallClock

    /// - Parameter secret: signs the notices, where there is one.
    package init(_ webhook: any AlertWebhook, secret: Secret<String>?, clock: any WallClock) {
        self.webhook = webhook
        self.secret = secret
        self.clock = clock
    }

    package func deliver(_ message: AlertMessage) async throws {
        let body = message.json
        var headers = [(name: "Content-Type", value: "application/json"), ("Idempotency-Key", message.key)]
        if let secret {
            headers.append(
                ("Postern-Signature", Self.signature(of: body, at: clock.now().seconds, secret: secret)))
        }
        let status = try await webhook.post(body, headers: headers)
        guard (200..<300).contains(status) else {
            throw AlertChannelError("the webhook answered \(status)")
        }
    }

    /// `t=<seconds since 1970>,v1=<hex of HMAC-SHA-256 over "<t>.<body>">`: with the time in it an old notice cannot be
    /// replayed for ever.
    static func signature(of body: [UInt8], at seconds: Int64, secret: Secret<String>) -> String {
        var mac = HMAC<SHA256>(key: SymmetricKey(data: Array(secret.reveal().utf8)))
        mac.update(data: Array("\(seconds).".utf8))
        mac.update(data: body)
        return "t=\(seconds),v1=\(Digest.hexadecimal(Array(mac.finalize())))"
    }
}

package struct MailAlertChannel: AlertChannel {
    package let name: String
    private let mail: any AlertMail

    /// - Parameter name: `email` for the instance's letters, `vault_email` for those of a vault's rules.
    package init(_ mail: any AlertMail, name: String = "email") {
        self.mail = mail
        self.name = name
    }

    package func deliver(_ message: AlertMessage) async throws {
        try await mail.send(subject: message.heading, text: message.text, key: "alert-\(message.key)")
    }
}
