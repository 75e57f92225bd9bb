// Letters to people: invitations, links for a new password, notices of what happened to an account.

import JSON
import Model
package import Outbox
import Sealing
import Store
package import Vaults

/// How a letter reaches a person.
package protocol PeopleMail: Sendable {
    /// - Parameter key: names the letter: the same key is the same letter, and is not sent a second time.
    /// - Throws: when the letter was not taken.
    func send(to: String, subject: String, text: String, key: String) async throws
}

/// By the pipeline that all mail takes: the vault's policy, its log and the outbox apply to these letters too. Whoever may
/// read the messages of that vault can read the links in them.
package struct PipelinePeopleMail: PeopleMail {
    private let pipeline: SendPipeline
    private let vaults: VaultDirectory
    private let vault: String
    private let sender: String

    /// - Parameters:
    ///   - vault: the slug of the vault that the letters are sent from; looked up for each letter, so that it may be made
    ///     after the start.
    ///   - sender: an address that the vault may send from.
    package init(pipeline: SendPipeline, vaults: VaultDirectory, vault: String, sender: String) {
        self.pipeline = pipeline
        self.vaults = vaults
        self.vault = vault
        self.sender = sender
    }

    package func send(to recipient: String, subject: String, text: String, key: String) async throws {
        guard let vault = try await vaults.find(vault) else {
            throw PosternError(
                .settingUnset, "there is no vault \(vault), which POSTERN_PEOPLE_MAIL_VAULT names")
        }
        // Better the link in the answer than in a letter that nobody gets.
        let settings = try await vaults.settings(of: vault.id)
        let isLive = pipeline.configuration.isLiveSendEnabled && settings.value(Settings.liveSendEnabled) ?? false
        guard isLive, settings.value(Settings.route) != .shadow else {
            throw PosternError(.conflict, "the vault \(self.vault) is in shadow mode: letters from it reach nobody")
        }
        let caller = Caller(
            vault: vault.id, identity: .system, label: Caller.peopleLabel, scopes: [.send, .amqp, .mailerq])
        let letter = JSONObject([
            "from": .string(sender), "to": .array([.string(recipient)]), "subject": .string(subject),
            "text": .string(text),
            // RFC 3834 §5: nobody's vacation responder answers.
            "headers": .object(JSONObject(["Auto-Submitted": .string("auto-generated")])),
            "tags": .array([.string("people")]),
        ])
        // The key alone decides what is the same letter.
        let idempotency = IdempotencyKey(key: key, digest: Digest.sha256(key))
        _ = try await pipeline.submit(.simple(.object(letter)), by: caller, through: .http, idempotency: idempotency)
    }
}
