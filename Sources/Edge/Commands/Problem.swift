// The server's refusal: a problem document (RFC 9457), or what a proxy in between said instead.

import JSON

struct Problem: Sendable {
    struct Entry: Sendable {
        let pointer: String
        let message: String
        let code: String?
    }

    let status: Int
    let code: String?
    let detail: String
    let fix: String?
    let docs: String?
    let entries: [Entry]
    let requestID: String?
    /// Whether nothing was shown where something could have been.
    var isOfNobody = false

    init(status: Int, body: [UInt8], location: String? = nil) {
        self.status = status
        let document = try? JSONParser.parse(body).objectValue
        code = document?["code"]?.stringValue
        docs = document?["docs"]?.stringValue
        requestID = document?["request_id"]?.stringValue
        entries = (document?["errors"]?.arrayValue ?? []).compactMap(\.objectValue).map { entry in
            Entry(
                pointer: entry["pointer"]?.stringValue ?? "", message: entry["message"]?.stringValue ?? "",
                code: entry["code"]?.stringValue)
        }
        if let location, (300..<400).contains(status) {
            detail = "the server answers with a redirect to \(location)"
            fix = "Give the address that it names as --url; a key is never sent after a redirect."
        } else if let document {
            detail = document["detail"]?.stringValue ?? document["title"]?.stringValue ?? "no reason was given"
            fix = document["fix"]?.stringValue
        } else {
            let text = String(decoding: body.prefix(300), as: UTF8.self)
            detail = text.isEmpty ? "no reason was given" : text
            fix = "Check that --url names a Postern server; this answer is not one of its own."
        }
    }

    /// For standard error: the code and the sentence, each thing wrong, and what to do.
    var lines: [String] {
        var lines = ["postern: \(code ?? "HTTP \(status)"): \(detail)"]
        lines += entries.map { entry in
            "  \(entry.pointer.isEmpty ? "/" : entry.pointer): \(entry.message)" + (entry.code.map { " (\($0))" } ?? "")
        }
        if let fix { lines.append("  fix: \(fix)") }
        if let hint { lines.append("  hint: \(hint)") }
        if let docs { lines.append("  docs: \(docs)") }
        if let requestID { lines.append("  request: \(requestID)") }
        return lines.map(Visible.text)
    }

    /// What to type, where the server's own words are about the API.
    private var hint: String? {
        switch code {
        case "unauthorized" where isOfNobody: "sign in with `postern login`, or give a key in POSTERN_TOKEN."
        case "reauthentication_required": "postern login --again, and then the same command again."
        case "second_factor_required": "give the code that your authenticator shows, or a recovery code, with --code."
        case "vault_required": "name the vault with --vault or POSTERN_VAULT; `postern account show` lists yours."
        case "vault_suspended": "an admin of the instance runs `postern vault resume`."
        case "vault_archived": "an admin of the instance runs `postern vault restore`."
        default: nil
        }
    }
}
