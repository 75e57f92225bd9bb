// Alerts by e-mail go the way of all mail: gate, policy, log, outbox.

import CoreTestSupport
import Model
import Outbox
import SQL
import Store
import TestSupport
import Testing
import Vaults

@testable import Alerts

@Suite("Alerts by e-mail")
struct PipelineAlertMailTests {
    private func mail(_ house: TestHouse, vault: String = "default", from: String = "alerts@example.com")
        -> PipelineAlertMail
    {
        PipelineAlertMail(
            pipeline: house.pipeline(), vaults: house.vaults, vault: vault, sender: from,
            recipient: "ops@example.net")
    }

    @Test("a letter is accepted once, however often it is sent, and stands in the log under its own caller")
    func once() async throws {
        try await withHouse { house in
            let mail = mail(house)
            for _ in 0..<3 {
                try await mail.send(subject: "Postern: down", text: "What to do\n", key: "alert-1-opened")
            }
            try await mail.send(subject: "Postern: up", text: "Over\n", key: "alert-1-closed")
            // The same notice in other words, as a newer version of Postern might say it, is no conflict.
            try await mail.send(subject: "Postern: is down", text: "Do this\n", key: "alert-1-opened")
            let messages = MessageRepository(database: house.database)
            let found = try await messages.search(MessageQuery(), in: house.vault.id)
            #expect(found.map { $0.subject?.asData() } == ["Postern: up", "Postern: down"])
            let letter = try #require(found.last)
            #expect(letter.callerLabel == "postern" && letter.callerID == "postern")
            #expect(letter.recipient == "ops@example.net" && letter.sender == "alerts@example.com")
            #expect(letter.tags == ["alert"])
            let bytes = try await Payloads(database: house.database).message(letter.id, in: house.vault.id)
            let text = String(decoding: try #require(bytes), as: UTF8.self)
            #expect(text.contains("\r\nAuto-Submitted: auto-generated\r\n"))
            #expect(text.contains("What to do"))
        }
    }

    @Test("a whole notice of every kind is a letter that the pipeline takes", arguments: AlertCondition.allCases)
    func everyKind(condition: AlertCondition) async throws {
        try await withHouse { house in
            let finding = AlertFinding(
                condition, subject: "größe \u{1F600} \r\n\u{0}", detail: String(repeating: "ü", count: 5_000))
            var alert = Alert(
                id: house.ids.next(), vault: house.vault.id, condition: condition, subject: finding.subject,
                detail: finding.detail, beganAt: .at(0), openedAt: .at(30))
            let channel = MailAlertChannel(mail(house))
            try await channel.deliver(AlertMessage([AlertNotice(alert, .opened, instance: "mail.example.org")]))
            alert.closedAt = .at(100)
            try await channel.deliver(AlertMessage([AlertNotice(alert, .closed, instance: "mail.example.org")]))
            #expect(try await house.database.count("smtp_relay_logs") == 2)
        }
    }

    @Test("a vault that may not send from the address refuses the letter")
    func policy() async throws {
        try await withHouse { house in
            let error = await #expect(throws: PosternError.self) {
                try await mail(house, from: "alerts@elsewhere.example").send(subject: "s", text: "t", key: "k")
            }
            #expect(error?.code == .senderDomainNotAllowed)
        }
    }

    @Test("a vault that is not there is named, and may be made later")
    func vault() async throws {
        try await withHouse { house in
            let mail = mail(house, vault: "operations")
            let error = await #expect(throws: AlertChannelError.self) {
                try await mail.send(subject: "s", text: "t", key: "k")
            }
            #expect(error?.description.contains("operations") == true)
            let vault = try await house.neighbour("operations").vault
            try await house.vaults.change(TestHouse.settings, in: vault.id)
            try await mail.send(subject: "s", text: "t", key: "k")
            #expect(try await house.database.count("smtp_relay_logs", where: "vault_id = '\(vault.id)'") == 1)
        }
    }

    @Test("a vault's rule writes from that vault, to all of its addresses, and once")
    func vaultsOwn() async throws {
        try await withHouse { house in
            let (other, _) = try await house.neighbour("operations")
            try await house.vaults.change(TestHouse.settings, in: other.id)
            let target = AlertTarget.Mail(
                vault: other.id, sender: "alerts@example.com", recipients: ["a@example.net", "b@example.net"])
            let mail = PipelineAlertMail(pipeline: house.pipeline(), vaults: house.vaults, mail: target)
            for _ in 0..<2 { try await mail.send(subject: "s", text: "t", key: "alert-1-opened") }
            let messages = MessageRepository(database: house.database)
            let found = try await messages.search(MessageQuery(), in: other.id)
            #expect(Set(found.map(\.recipient)) == ["a@example.net", "b@example.net"] && found.count == 2)
            #expect(found.allSatisfy { $0.callerID == "postern" && $0.sender == "alerts@example.com" })
            #expect(try await messages.search(MessageQuery(), in: house.vault.id).isEmpty)
        }
    }
}
