// Circles, and what looks like one, as transcripts: what a caller hands in, and what the guard says.

import Model
import Testing

@testable import Runaway

/// A header with its envelope, and whether it is a circle.
private struct Transcript: Sendable, CustomTestStringConvertible {
    let name: String
    var from = "agent@example.com"
    var sender: String?
    var to = ["jane@example.net"]
    var headers = ""
    /// A word of the refusal's sentence; `nil` passes.
    var refusal: String?

    var testDescription: String { name }

    var letter: Letter {
        Letter { letter in
            letter.from = from
            letter.sender = sender
            letter.recipients = to
            letter.headers = headers.split(separator: "\n").map { line in
                let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                return (String(parts[0]), String(parts[1].drop { $0 == " " }))
            }
        }
    }

    private static let ownTrace = "Received: from x by mail.example.org (Postern) with ESMTPSA id 1; x\n"

    static let circles = [
        Transcript(
            name: "an agent answers its own letter", to: ["agent@example.com"],
            headers: "In-Reply-To: <1@example.com>", refusal: "would answer itself"),
        Transcript(
            name: "References alone make it an answer", to: ["agent@example.com"],
            headers: "Message-ID: <2@example.com>\nReferences: <1@example.com> <2@example.com>",
            refusal: "would answer itself"),
        Transcript(
            name: "letter case makes no other mailbox", to: ["Agent@EXAMPLE.com"],
            headers: "in-reply-to: <1@example.com>", refusal: "would answer itself"),
        Transcript(
            name: "to oneself by the envelope", sender: "bounces@example.com", to: ["bounces@example.com"],
            headers: "In-Reply-To: <1@example.com>", refusal: "would answer itself"),
        Transcript(
            name: "an autoresponder answers itself", to: ["agent@example.com"], headers: "Auto-Submitted: auto-replied",
            refusal: "automatically to itself"),
        Transcript(
            name: "an autoresponder answers itself and somebody else", to: ["jane@example.net", "agent@example.com"],
            headers: "Auto-Submitted: auto-replied (vacation); owner-email=\"agent@example.com\"",
            refusal: "automatically to itself"),
        Transcript(
            name: "an autoresponder of the older kind answers itself", to: ["agent@example.com"],
            headers: "X-Autoreply: yes", refusal: "automatically to itself"),
        Transcript(
            name: "another one", to: ["agent@example.com"], headers: "X-Autorespond: Out of office",
            refusal: "automatically to itself"),
        Transcript(
            name: "and another one", to: ["agent@example.com"], headers: "Precedence: auto_reply",
            refusal: "automatically to itself"),
        Transcript(
            name: "an automatic reply into a list",
            headers: "Auto-Submitted: auto-replied\nList-Id: Gardeners <garden.example.net>", refusal: "mailing list"),
        Transcript(
            name: "an automatic reply with a list's precedence", headers: "X-Autoreply: yes\nPrecedence: list",
            refusal: "mailing list"),
        Transcript(
            name: "an automatic reply to a bounce", to: ["MAILER-DAEMON@mx.example.net"],
            headers: "Auto-Submitted: auto-replied", refusal: "answers a bounce"),
        Transcript(
            name: "51 trace fields", headers: String(repeating: "Received: by a.example; x\n", count: 51),
            refusal: "51 Received fields"),
        Transcript(
            name: "here for the fourth time",
            headers: String(repeating: ownTrace, count: 4),
            refusal: "4 of its Received fields are ours"),
    ]

    static let nearMisses = [
        Transcript(name: "a letter"),
        Transcript(name: "a letter to oneself", to: ["agent@example.com"]),
        Transcript(
            name: "an answer", headers: "In-Reply-To: <1@example.net>\nReferences: <0@example.net> <1@example.net>"),
        Transcript(
            name: "an answer with a copy to oneself", to: ["jane@example.net", "agent@example.com"],
            headers: "In-Reply-To: <1@example.net>"),
        Transcript(
            name: "to a neighbour in the same domain", to: ["agents@example.com"],
            headers: "In-Reply-To: <1@example.com>\nAuto-Submitted: auto-replied"),
        Transcript(
            name: "to the same name elsewhere", to: ["agent@example.net"], headers: "In-Reply-To: <1@example.com>"),
        Transcript(name: "an empty In-Reply-To", to: ["agent@example.com"], headers: "In-Reply-To: \nReferences:  "),
        Transcript(name: "a person says so", to: ["agent@example.com"], headers: "Auto-Submitted: no"),
        Transcript(name: "nobody says so", to: ["agent@example.com"], headers: "Auto-Submitted: \nX-Autoreply: no"),
        Transcript(
            name: "what cron writes to root", from: "root@example.com", to: ["root@example.com"],
            headers: "Auto-Submitted: auto-generated\nX-Cron-Env: <SHELL=/bin/sh>"),
        Transcript(
            name: "a notification",
            headers: "Auto-Submitted: auto-generated\nPrecedence: bulk\nList-Id: <builds.example.com>"),
        Transcript(
            name: "a notification of a mailbox (RFC 5436)", headers: "Auto-Submitted: auto-notified; owner-email=a"),
        Transcript(
            name: "a newsletter",
            headers: """
                List-Id: News <news.example.com>
                List-Unsubscribe: <https://example.com/u/1>, <mailto:u@example.com>
                List-Unsubscribe-Post: List-Unsubscribe=One-Click
                Precedence: bulk
                """),
        Transcript(
            name: "what a list sends on", headers: "List-Id: <l.example.com>\nPrecedence: list\nIn-Reply-To: <1@x>"),
        Transcript(
            name: "Sendy's campaign",
            headers: """
                X-Mailer: Sendy (https://sendy.co)
                List-Unsubscribe: <https://sendy.example.com/unsubscribe/A/B/C>, <mailto:agent@example.com>
                List-Unsubscribe-Post: List-Unsubscribe=One-Click
                Precedence: Bulk
                """),
        Transcript(
            name: "Odoo's mailing",
            headers: """
                List-Unsubscribe: <https://odoo.example.com/mailing/1/unsubscribe_oneclick?document_id=2>
                List-Unsubscribe-Post: List-Unsubscribe=One-Click
                Precedence: list
                X-Auto-Response-Suppress: OOF
                """),
        Transcript(
            name: "Odoo's first message of a thread, to its author", to: ["agent@example.com"],
            headers: """
                Message-Id: <random-openerp-7-res.partner@odoo>
                References: <random-openerp-7-res.partner@odoo>
                X-Odoo-Objects: res.partner-7
                """),
        Transcript(
            name: "Odoo's message by its bounce address", from: "sales@example.com", sender: "bounce@example.com",
            headers: """
                References: <1-openerp-7-sale.order@odoo> <2-openerp-7-sale.order@odoo>
                X-Odoo-Message-Id: <2@odoo>
                """),
        Transcript(
            name: "a vacation responder's reply (RFC 3834 §3.1.8 lets it say bulk)",
            headers: "Auto-Submitted: auto-replied (vacation)\nPrecedence: bulk\nIn-Reply-To: <1@example.net>"),
        Transcript(name: "junk says the same", headers: "Auto-Submitted: auto-replied\nPrecedence: junk"),
        Transcript(
            name: "an answer to a bounce by a person", to: ["mailer-daemon@mx.example.net"],
            headers: "In-Reply-To: <1@x>"),
        Transcript(name: "50 trace fields", headers: String(repeating: "Received: by a.example; x\n", count: 50)),
        Transcript(
            name: "here for the third time, and at others' too",
            headers: String(repeating: ownTrace, count: 3)
                + String(repeating: "Received: by other.example.org (Postern) with HTTP; x\n", count: 9)
                + "Received: by xmail.example.org (Postern); x\nReceived: by mail.example.org (Postfix); x\n"
                + "Received: for mail.example.org (Postern); x\nX-Received: by mail.example.org (Postern); x\n"
                + "Received: by mail.example.org(Postern); x\n"),
    ]
}

@Suite("Circles")
struct LoopRuleTests {
    @Test("what goes in circles is refused, as fields and as a finished message", arguments: Transcript.circles)
    fileprivate func circle(_ transcript: Transcript) throws {
        let watchman = Watchman()
        for message in [try transcript.letter.blocks(), try transcript.letter.raw()] {
            let refusal = try #require(watchman.refusal(message))
            #expect(refusal.hasPrefix("mail_loop: "))
            #expect(refusal.contains(try #require(transcript.refusal)))
        }
    }

    @Test("what only looks like it passes", arguments: Transcript.nearMisses)
    fileprivate func nearMiss(_ transcript: Transcript) throws {
        let watchman = Watchman()
        #expect(watchman.refusal(try transcript.letter.blocks()) == nil)
        #expect(watchman.refusal(try transcript.letter.raw()) == nil)
    }

    @Test("one circle among several messages refuses all, and leaves no trace")
    func severalMessages() throws {
        let watchman = Watchman()
        let good = try Letter().blocks()
        let bad = try Letter {
            $0.recipients = [$0.from]
            $0.headers = [("Auto-Submitted", "auto-replied")]
        }.blocks()
        #expect(throws: PosternError.self) { try watchman.judge(good, bad, repeats: 1) }
        #expect(try watchman.cost(good, repeats: 1) == [])
    }

    @Test("a fix is told that fits")
    func fix() throws {
        let watchman = Watchman()
        let message = try Letter { $0.headers = Array(repeating: ("Received", "by a; x"), count: 60) }.raw()
        do throws(PosternError) {
            _ = try watchman.judge(message)
            Issue.record("60 trace fields passed")
        } catch {
            #expect(error.fix.contains("forwarding"))
            #expect(error.code.entry.smtpCode == 554)
        }
    }
}
