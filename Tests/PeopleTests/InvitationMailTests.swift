// Letters to people on the way that all mail takes, and what stands in them.

import CoreTestSupport
import JSON
import Logging
import Model
import Outbox
import SQL
import Store
import Testing

@testable import People

@Suite("Letters to people")
struct InvitationMailTests {
    private func mail(_ house: TestHouse, vault: String = "default", from: String = "postern@example.com")
        -> PipelinePeopleMail
    {
        PipelinePeopleMail(pipeline: house.pipeline(), vaults: house.vaults, vault: vault, sender: from)
    }

    @Test("a letter is a message of the vault: in its log, tagged, marked as nobody's hand, once for one key")
    func byThePipeline() async throws {
        try await withHouse { house in
            let mail = mail(house)
            for _ in 0..<2 {
                try await mail.send(to: "nina@example.net", subject: "Hello", text: "A letter", key: "letter/1")
            }
            try await mail.send(to: "nina@example.net", subject: "Hello", text: "Another", key: "letter/2")
            let messages = try await MessageRepository(database: house.database).search(
                MessageQuery(), in: house.vault.id)
            #expect(messages.count == 2 && messages.allSatisfy { $0.recipient == "nina@example.net" })
            #expect(messages.allSatisfy { $0.tags == ["people"] && $0.callerLabel == "postern-people" })
            let payloads = try await house.database.read { connection in
                try connection.rows("SELECT bytes FROM payloads").map {
                    String(decoding: try $0.blob(0), as: UTF8.self)
                }
            }
            #expect(!payloads.isEmpty)
            #expect(payloads.allSatisfy { $0.contains("Auto-Submitted") && $0.contains("auto-generated") })
        }
    }

    @Test("a vault that is not there, or does not send for the sender's domain, takes no letter")
    func refused() async throws {
        try await withHouse { house in
            for mail in [mail(house, vault: "nowhere"), mail(house, from: "postern@elsewhere.example")] {
                let code = try await refusal {
                    try await mail.send(to: "nina@example.net", subject: "x", text: "x", key: "x")
                }
                #expect(code != nil)
            }
            #expect(try await house.database.count("smtp_relay_logs") == 0)
        }
    }

    @Test("whatever a letter is about, its subject is fixed, and its text has the link where a person looks for it")
    func texts() {
        let letters = [
            PeopleLetter.invitation(
                link: "https://h.example/i#token=t", inviter: "o@example.org", host: "https://h.example",
                vaults: [("shop", .viewer)], expiresAt: Timestamp(milliseconds: 0)),
            .account(link: "https://h.example/i#token=t", maker: "o@example.org", host: "https://h.example"),
            .passwordReset(link: "https://h.example/i#token=t", host: "https://h.example"),
        ]
        for letter in letters {
            #expect(letter.text.contains("\n  https://h.example/i#token=t\n"))
            #expect(!letter.subject.contains("@") && !letter.text.contains("\r"))
        }
        #expect(letters[0].text.contains("\n  shop (viewer)\n"))
        #expect(Set(letters.map(\.subject)).count == 3)
        for notice in PeopleLetter.Notice.allCases {
            let letter = PeopleLetter.notice(
                notice, host: "https://h.example", address: "192.0.2.7", at: Timestamp(milliseconds: 0))
            #expect(letter.text.contains(notice.rawValue) && letter.text.contains("192.0.2.7"))
            #expect(!letter.text.contains("#token="), "a notice opens nothing")
        }
    }
}
