// Which part of the failure backlog is to be drained or sent again, as a caller says it; and what came of it.

import JSON
import MIME
import Model
import Store

struct RepairRequest: Sendable {
    enum Action: String, Sendable {
        case drain, requeue
    }

    /// Messages of one call, when it does not say how many.
    private static let defaultLimit = 1_000
    private static let limits: ClosedRange<Int64> = 1...10_000

    let filter: FailureFilter
    let limit: Int
    let isDryRun: Bool

    init(_ document: JSONValue, at now: Timestamp) throws(PosternError) {
        var reader = JSONReader(document)
        var filter = FailureFilter()
        if let value = reader.value("code") {
            filter.code = FailureFilter.Code(value.integerValue.map { String($0) } ?? value.stringValue ?? "")
            if filter.code == nil { reader.problem(Self.codeProblem, at: "code") }
        }
        if let domain = reader.string("domain") {
            filter.domain = EmailAddress.normalizedDomain(domain)
            if filter.domain == nil { reader.problem(Self.domainProblem, at: "domain") }
        }
        if let value = reader.value("older_than") {
            let age = value.integerValue.map { String($0) } ?? value.stringValue ?? ""
            filter.until = Self.seconds(age).map { now.adding(seconds: -$0) }
            if filter.until == nil { reader.problem(Self.ageProblem, at: "older_than") }
        }
        let limit = reader.integer("limit") ?? Int64(Self.defaultLimit)
        if !Self.limits.contains(limit) { reader.problem("must be from 1 to 10000", at: "limit") }
        isDryRun = reader.bool("dry_run") ?? false
        if document.objectValue != nil { reader.finish() }
        guard reader.problems.isEmpty else { throw .validation(reader.problems) }
        self.filter = filter
        self.limit = Int(limit)
    }

    /// The same filter in a list's query.
    static func filter(_ query: inout Query, at now: Timestamp) -> FailureFilter {
        var filter = FailureFilter()
        if let text = query.text("code") {
            filter.code = FailureFilter.Code(text)
            if filter.code == nil { query.problem(codeProblem, "code") }
        }
        if let text = query.text("domain") {
            filter.domain = EmailAddress.normalizedDomain(text)
            if filter.domain == nil { query.problem(domainProblem, "domain") }
        }
        if let text = query.text("older_than") {
            filter.until = seconds(text).map { now.adding(seconds: -$0) }
            if filter.until == nil { query.problem(ageProblem, "older_than") }
        }
        return filter
    }

    private static let codeProblem = "is neither an SMTP reply code such as 550 nor a class such as 5xx"
    private static let domainProblem = "is not a domain"
    private static let ageProblem = "is neither seconds nor a number with s, m, h or d, such as 90, 15m or 7d"

    /// `90`, `90s`, `15m`, `2h`, `7d`; at most ten years.
    static func seconds(_ text: String) -> Double? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        var digits = text[...]
        var unit: Int64 = 1
        if let last = text.last, let factor = units[last] {
            unit = factor
            digits = digits.dropLast()
        }
        guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int64(digits), number * unit <= 3650 * 86_400
        else { return nil }
        return Double(number * unit)
    }
}

struct RepairTally: Sendable {
    let action: RepairRequest.Action
    let isDryRun: Bool
    /// What matched when the call began.
    let matched: Int
    let kinds: [FailureCount]
    private(set) var done = 0
    /// Messages that had come to another end meanwhile.
    private(set) var skipped = 0

    init(action: RepairRequest.Action, isDryRun: Bool, matched: Int, kinds: [FailureCount]) {
        self.action = action
        self.isDryRun = isDryRun
        self.matched = matched
        self.kinds = kinds
    }

    var taken: Int { done + skipped }

    func adding(_ done: Int, _ skipped: Int) -> RepairTally {
        var sum = self
        sum.done += done
        sum.skipped += skipped
        return sum
    }

    var answer: String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("action", action.rawValue)
            writer.member("dry_run", isDryRun)
            writer.member("matched", matched)
            writer.member("done", done)
            writer.member("skipped", skipped)
            writer.member("remaining", max(0, matched - taken))
            writer.name("kinds")
            writer.array { writer in
                for kind in kinds {
                    writer.object { writer in
                        writer.member("code", kind.code.map { .integer(Int64($0)) } ?? .null)
                        writer.member("domain", kind.domain)
                        writer.member("count", kind.count)
                    }
                }
            }
        }
        return writer.text
    }
}
