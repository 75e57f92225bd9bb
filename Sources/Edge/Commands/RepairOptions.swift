// Which failures a command is about, and how many of them at once.

import ArgumentParser
import JSON

struct FailureOptions: ParsableArguments {
    @Option(help: "With this SMTP reply code, such as 550, or of this class, such as 5xx.")
    var code: String?

    @Option(help: "To this domain.")
    var domain: String?

    @Option(help: ArgumentHelp("Failed at least so long ago: seconds, or 15m, 2h, 7d.", valueName: "age"))
    var olderThan: String?
}

struct RepairOptions: ParsableArguments {
    @OptionGroup var filter: FailureOptions

    @Option(help: ArgumentHelp("Messages at most, 1 to 10000; the server's default is 1000.", valueName: "messages"))
    var limit: Int?

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @Option(help: ArgumentHelp("Repeating the call with this key does it once.", valueName: "key"))
    var idempotencyKey: String?

    func check() throws {
        if let limit, !(1...10_000).contains(limit) { throw ValidationError("--limit is from 1 to 10000.") }
        if let key = idempotencyKey, !key.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) || key.isEmpty {
            throw ValidationError("--idempotency-key takes printable ASCII.")
        }
    }

    func request(_ action: String) -> APIRequest {
        var body = JSONObject()
        body.give("code", filter.code)
        body.give("domain", filter.domain)
        body.give("older_than", filter.olderThan)
        if let limit { body["limit"] = .integer(Int64(limit)) }
        if dryRun { body["dry_run"] = .bool(true) }
        var request = APIRequest(.post, "queues", "failure", action, json: body)
        if let idempotencyKey { request.headers.append((name: "Idempotency-Key", value: idempotencyKey)) }
        return request
    }

    /// What was done, and what kinds of failures matched.
    static func lines(_ answer: JSONObject) -> [String] {
        func number(_ name: String) -> String { ValueText.cell(answer[name]) }
        let isDryRun = answer["dry_run"]?.boolValue == true
        var lines = [
            isDryRun
                ? "dry run: \(number("matched")) match, nothing was done"
                : "\(number("action")): \(number("done")) of \(number("matched")), \(number("remaining")) remain"
        ]
        if let skipped = answer["skipped"]?.integerValue, skipped > 0 {
            lines.append("\(skipped) had come to another end meanwhile")
        }
        let kinds = (answer["kinds"]?.arrayValue ?? []).compactMap(\.objectValue)
        guard !kinds.isEmpty else { return lines }
        var table = Table([TableColumn("COUNT", "count"), TableColumn("CODE", "code"), TableColumn("DOMAIN", "domain")])
        return lines + table.lines(kinds)
    }
}
