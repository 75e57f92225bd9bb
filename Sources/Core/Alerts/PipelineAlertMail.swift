// Sends alerts by the pipeline that all mail takes: the gate, the vault's policy, the log and the outbox apply to them
// too.

import JSON
import Model
package import Outbox
import Sealing
import Store
package import Vaults

package struct PipelineAlertMail: AlertMail {
    private enum Place {
        case slug(String)
        case id(VaultID)
    }

    private let pipeline: SendPipeline
    private let vaults: VaultDirectory
    private let place: Place
    private let sender: String
    private let recipients: [String]

    /// The instance's letters.
    /// - Parameters:
    ///   - vault: the slug of the vault that the letters are sent from; it is looked up for each letter, so that it may be made
    ///     after the start.
    ///   - sender: an address that the vault may send from.
    package init(pipeline: SendPipeline, vaults: VaultDirectory, vault: String, sender: String, recipient: String) {
        self.pipeline = pipeline
        self.vaults = vaults
        place = .slug(vault)
        self.sender = sender
        recipients = [recipient]
    }

    /// The letters of a vault's rule: the vault sends them itself.
    package init(pipeline: SendPipeline, vaults: VaultDirectory, mail: AlertTarget.Mail) {
        self.pipeline = pipeline
        self.vaults = vaults
        place = .id(mail.vault)
        sender = mail.sender
        recipients = mail.recipients
    }

    package func send(subject: String, text: String, key: String) async throws {
        // Nobody can sign in as this.
        let caller = Caller(
            vault: try await vault(), identity: .system, label: "postern", scopes: [.send, .amqp, .mailerq])
        let letter = JSONObject([
            "from": .string(sender), "to": .array(recipients.map { .string($0) }), "subject": .string(subject),
            "text": .string(text),
            // RFC 3834 §5: nobody's vacation responder answers.
            "headers": .object(JSONObject(["Auto-Submitted": .string("auto-generated")])),
            "tags": .array([.string("alert")]),
        ])
        // The key alone decides what is the same letter: a repetition is never in conflict with the first one.
        let idempotency = IdempotencyKey(key: key, digest: Digest.sha256(key))
        _ = try await pipeline.submit(
            .simple(.object(letter)), by: caller, through: .http, idempotency: idempotency)
    }

    private func vault() async throws -> VaultID {
        switch place {
        case .id(let vault): return vault
        case .slug(let slug):
            guard let vault = try await vaults.all().first(where: { $0.slug == slug }) else {
                throw AlertChannelError("there is no vault \(slug), which POSTERN_ALERT_VAULT names")
            }
            return vault.id
        }
    }
}
