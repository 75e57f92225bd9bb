// The request for a new key, field by field. Whether its issuer may give all of that away, Gate decides.

import Gate
import JSON
import Model
import Store

extension CallerDirectory.KeyRequest {
    /// - Throws: `validation_failed` with everything that is wrong.
    init(_ reader: JSONReader, by caller: Caller, at now: Timestamp) throws(PosternError) {
        var reader = reader
        let label = reader.required("label", reader.label("label"))
        // What comes from an agent's key is the agent's.
        let kind = reader.keyKind() ?? (caller.agent == nil ? .tool : .agent)
        let scopes = reader.scopes()
        var request = Self(
            label: label ?? "", kind: kind, scopes: scopes, isReadOnly: reader.bool("read_only") ?? false)
        request.labelPrefix = reader.label("label_prefix", upTo: Self.labelPrefixLimit)
        request.senderDomains = reader.senderDomains()
        request.allowedIPs = reader.allowedIPs()
        request.limit = reader.ownLimit()
        request.ipPool = reader.ipPool()
        (request.expiresAt, request.isTemporary) = reader.end(after: now)
        reader.finish()
        guard reader.problems.isEmpty else { throw .validation(reader.problems) }
        self = request
    }
}

extension JSONReader {
    fileprivate mutating func keyKind() -> APIKey.Kind? {
        guard let text = string("kind") else { return nil }
        let kind = APIKey.Kind(rawValue: text)
        if kind == nil { problem("is neither tool nor agent", at: "kind") }
        return kind
    }

    fileprivate mutating func scopes() -> Scopes {
        guard let names = required("scopes", strings("scopes")) else { return [] }
        var scopes: Scopes = []
        for (index, name) in names.enumerated() {
            if let scope = Scopes(name: name) {
                scopes.insert(scope)
            } else {
                let known = Scopes.allNames.joined(separator: ", ")
                adopt([
                    JSONProblem(
                        pointer: "\(pointer(to: "scopes"))/\(index)",
                        message: "\"\(name.prefix(40))\" is none of \(known)")
                ])
            }
        }
        if names.isEmpty { problem("must name at least one scope", at: "scopes") }
        return scopes
    }

    /// Messages an hour; and at once, which are as many where nothing else is said.
    fileprivate mutating func ownLimit() -> RateLimit? {
        let (perHour, burst) = (count("send_rate_limit"), count("burst_ceiling"))
        guard let perHour else {
            if burst != nil { problem("has a meaning beside send_rate_limit only", at: "burst_ceiling") }
            return nil
        }
        return RateLimit(perHour: perHour, burst: burst ?? perHour)
    }

    private mutating func count(_ name: String) -> Int? {
        guard let number = integer(name) else { return nil }
        if (1...Int64(RateLimit.maximum)).contains(number) { return Int(number) }
        problem("must be from 1 to \(RateLimit.maximum)", at: name)
        return nil
    }

    /// When the key ends; one that is given seconds is temporary.
    fileprivate mutating func end(after now: Timestamp) -> (Timestamp?, isTemporary: Bool) {
        let (text, seconds) = (string("expires_at"), integer("expires_in"))
        if text != nil, seconds != nil { problem("goes without expires_at", at: "expires_in") }
        if let seconds {
            let allowed = CallerDirectory.KeyRequest.temporaryLifetime
            if !allowed.contains(seconds) {
                problem("must be from \(allowed.lowerBound) to \(allowed.upperBound)", at: "expires_in")
            }
            return (now.adding(seconds: Double(seconds)), true)
        }
        guard let text else { return (nil, false) }
        let time = Timestamp(text)
        if time.map({ $0 <= now }) ?? true { problem("is not a time to come in RFC 3339", at: "expires_at") }
        return (time, false)
    }
}
