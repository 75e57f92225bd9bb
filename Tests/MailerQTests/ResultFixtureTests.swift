// Results of both generations, as MailerQ's documents and captured messages show them.

import JSON
import MailerQ
import Testing

@Suite("MailerQ results")
struct ResultFixtureTests {
    @Test("a result is read as its fixture says", arguments: Fixture.all)
    func fixture(_ fixture: Fixture) throws {
        let expected = try #require(try JSONParser.parse(fixture.bytes).objectValue)
        let queue = try #require(expected["queue"]?.stringValue.flatMap(MailerQResultQueue.init))
        let document = JSONWriter.write(try #require(expected["document"]))
        let result = try MailerQResult.parse(document, from: queue)
        #expect(result.verdict.name == expected["verdict"]?.stringValue)
        if let attempts = expected["attempts"]?.arrayValue {
            #expect(result.attempts.map(\.json) == attempts)
        }
        if let recipient = expected["recipient"]?.stringValue { #expect(result.recipient == recipient) }
        if let envelope = expected["envelope"]?.stringValue { #expect(result.envelope == envelope) }
        if let reference = expected["reference"] {
            #expect(result.reference == MailerQReference(reference) && result.reference != nil)
        }
        #expect(result.nextAttempt?.description == expected["nextAttempt"]?.stringValue)
        if case .deferred(let next) = result.verdict { #expect(next == result.nextAttempt) }
    }

    @Test("the fixtures are there: both generations, all verdicts, all queues")
    func present() throws {
        let documents = try Fixture.all.compactMap { try JSONParser.parse($0.bytes).objectValue }
        #expect(documents.count >= 60)
        #expect(Set(documents.compactMap { $0["verdict"]?.stringValue }).count == 6)
        #expect(Set(documents.compactMap { $0["queue"]?.stringValue }).count == MailerQResultQueue.allCases.count)
    }

    @Test("each state of the documents is known, in the spelling of either generation")
    func states() throws {
        for state in MailerQState.allCases {
            let parsed = try attempt(#"{"state":"\#(state.rawValue)","result":"error"}"#)
            #expect(parsed.state == state)
        }
        for (text, state) in [
            ("rcpt to", MailerQState.rcptto), ("RCPT TO", .rcptto), ("mail from", .mailfrom), ("accept", .message),
            ("auth-login", .authlogin), ("amqp", .process), ("", .unknown),
        ] {
            #expect(try attempt(#"{"state":"\#(text)"}"#).state == state)
        }
    }

    @Test("`result` counts before `type`")
    func resultFirst() throws {
        let both = try attempt(#"{"state":"message","result":"accepted","type":"error"}"#)
        #expect(both.outcome == .accepted)
    }

    private func attempt(_ json: String) throws -> MailerQAttempt {
        let document = #"{"recipient":"a@b.example","results":[\#(json)]}"#
        return try #require(try MailerQResult.parse(Array(document.utf8), from: .failure).attempts.first)
    }
}
