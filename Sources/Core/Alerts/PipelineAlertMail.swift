// Sends alerts by the pipeline that all mail takes: the gate, the vault's policy, the log and the outbox apply to them
// too.

import JSON
import Model
package import Outbox
import Sealing
import Store
package import Vaults

package struct PipelineAlertMail: AlertMail {
    private let pipeline: SendPipeline
    private let vaults: VaultDirectory
    private let vault: String
    private let sender: String
    private let recipient: String

    /// - Parameters:
    ///   - vault: the slug of the vault that the letters are sent from; it is looked up for each letter, so that it may be made
    ///     after the start.
    ///   - sender: an address that the vault may send from.
    package init(pipeline: SendPipeline, vaults: VaultDirectory, vault: String, sender: String, recipient: String) {
        self.pipeline = pipeline
        self.vaults = vaults
        self.vault = vault
        self.sender = sender
        self.recipient = recipient
    }

    package func send(subject: String, text: String, key: String) async throws {
        guard let vault = try await vaults.all().first(where: { $0.slug == vault }) else {
            throw AlertChannelError("there is no vault \(vault), which POSTERN_ALERT_VAULT names")
        }
        // A caller that no key and no login leads to: the id of all zeros is never given out.
        let caller = Caller(
            vault: vault.id, identity: .key(KeyID(high: 0, low: 0)), label: "postern-alerts",
            scopes: [.send, .amqp, .mailerq])
        let letter = JSONObject([
            "from": .string(sender), "to": .array([.string(recipient)]), "subject": .string(subject),
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
}
