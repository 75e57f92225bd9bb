// Signatures of AWS requests: what boto3 and older libraries sign is accepted, and nothing that differs from it.

import JSON
import Model
import Sealing
import TestSupport
import Testing

@testable import Providers

@Suite("SES signatures")
struct SESSignatureTests {
    @Test("the fixtures are there")
    func present() {
        #expect(SignedRequest.all.count >= 19 && SignedRequest.refused.count == 2)
    }

    @Test("a request that was signed by botocore or by an older library is known", arguments: SignedRequest.all)
    func known(_ signed: SignedRequest) throws {
        #expect(try SESSignature(of: signed.request).accessKey.reveal() == SignedRequest.key)
        try signed.verify()
    }

    @Test("what is right in itself and wrong by the rules is refused", arguments: SignedRequest.refused)
    func refused(_ signed: SignedRequest) {
        #expect(throws: SESAuthenticationProblem.mismatch) { try signed.verify() }
    }

    @Test("another key than the one that signed is refused", arguments: SignedRequest.all)
    func otherKey(_ signed: SignedRequest) {
        #expect(throws: SESAuthenticationProblem.mismatch) { try signed.verify(secret: SignedRequest.key + "x") }
    }

    @Test("a body that was changed is refused", arguments: SignedRequest.version4)
    func changedBody(_ signed: SignedRequest) {
        var request = signed.request
        request.body.append(UInt8(ascii: "x"))
        #expect(throws: SESAuthenticationProblem.mismatch) { try signed.verify(request) }
    }

    @Test("a method, path or query that was changed is refused", arguments: SignedRequest.version4)
    func changedPlace(_ signed: SignedRequest) {
        let whole = signed.request
        for request in [
            whole.with(method: "PUT"), whole.with(path: whole.path + "x"),
            whole.with(query: whole.query + (whole.query.isEmpty ? "x=1" : "&x=1")),
        ] {
            #expect(throws: SESAuthenticationProblem.mismatch) { try signed.verify(request) }
        }
    }

    @Test("a signed header that was changed, doubled or taken away is refused", arguments: SignedRequest.version4)
    func changedHeaders(_ signed: SignedRequest) throws {
        for name in try signed.signedHeaders where !name.hasSuffix("date") {
            let changed = signed.request.headers.map { $0.name == name ? (name, $0.value + "x") : $0 }
            let doubled = signed.request.headers + [(name, "x")]
            let missing = signed.request.headers.filter { $0.name != name }
            for headers in [changed, doubled, missing] {
                #expect(throws: SESAuthenticationProblem.mismatch) {
                    try signed.verify(signed.request.with(headers: headers))
                }
            }
        }
    }

    @Test("a header that is not signed may change", arguments: SignedRequest.version4)
    func unsignedHeader(_ signed: SignedRequest) throws {
        try signed.verify(signed.request.with(headers: signed.request.headers + [("x-request-id", "7")]))
    }

    @Test("the date may be 15 minutes away and no more, in either direction", arguments: SignedRequest.all)
    func skew(_ signed: SignedRequest) throws {
        for seconds in [-900.0, 900] { try signed.verify(after: seconds) }
        for seconds in [-901.0, 901, 86_400, -1e12, 1e12] {
            #expect(throws: SESAuthenticationProblem.expired) { try signed.verify(after: seconds) }
        }
    }

    @Test("a date of another moment is no way around the clock", arguments: SignedRequest.all)
    func otherDate(_ signed: SignedRequest) {
        let headers = signed.request.headers.map { name, value -> (name: String, value: String) in
            switch name {
            case "x-amz-date" where value.hasSuffix("Z"): (name, "20261120T180001Z")
            case "x-amz-date", "date": (name, "Fri, 20 Nov 2026 18:00:01 GMT")
            default: (name, value)
            }
        }
        #expect(throws: SESAuthenticationProblem.mismatch) { try signed.verify(signed.request.with(headers: headers)) }
    }

    @Test("each part of an authorization counts", arguments: SignedRequest.version4)
    func changedScope(_ signed: SignedRequest) throws {
        for (old, new, problem) in [
            ("/20261120/", "/20261121/", SESAuthenticationProblem.mismatch), ("-1/ses/", "-9/ses/", .mismatch),
            ("/ses/", "/s3/", .incomplete), ("/aws4_request", "/aws3_request", .incomplete),
            ("host", "hots", .incomplete), ("Signature=", "Signature=0", .mismatch),
        ] {
            #expect(throws: problem, "\(old) → \(new)") {
                try signed.verify(signed.replacing(old, with: new, in: "authorization"))
            }
        }
    }

    @Test("a signature in capitals is another text")
    func capitals() throws {
        let signed = SignedRequest.version4[0]
        let text = try #require(signed.request.header("authorization"))
        let signature = try #require(text.split(separator: "Signature=").last)
        #expect(throws: SESAuthenticationProblem.mismatch) {
            try signed.verify(signed.replacing(String(signature), with: signature.uppercased(), in: "authorization"))
        }
    }

    @Test(
        "what is no authorization is refused, and nothing breaks",
        arguments: [
            "", "Bearer ak_AbCdEfGh_x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256Credential=a",
            "AWS4-HMAC-SHA256 Credential=,SignedHeaders=host,Signature=a",
            "AWS4-HMAC-SHA256 Credential=a/b/c/ses,SignedHeaders=host,Signature=a",
            "AWS4-HMAC-SHA256 Credential=k/20261120/r/ses/aws4_request/x,SignedHeaders=host,Signature=a",
            "AWS4-HMAC-SHA256 Credential=/20261120/r/ses/aws4_request,SignedHeaders=host,Signature=a",
            "AWS4-HMAC-SHA256 Credential=k/20261120/r/ses/aws4_request,SignedHeaders=host",
            "AWS4-HMAC-SHA256 Credential=k/20261120/r/ses/aws4_request,SignedHeaders=,Signature=a",
            "AWS4-HMAC-SHA256 Credential=k/20261120/r/ses/aws4_request,SignedHeaders=x-amz-date,Signature=a",
            "AWS4-HMAC-SHA256 Credential=k/20261120/r/ses/aws4_request,SignedHeaders=host,Signature=a,Signature=b",
            "AWS4-HMAC-SHA256 ,,,,", "AWS4-HMAC-SHA256 =,=,=", String(repeating: "AWS4-HMAC-SHA256 ", count: 1000),
        ])
    func hostile(_ text: String) {
        let request = ProviderRequest(method: "POST", path: "/ses", headers: [("authorization", text)])
        #expect(throws: SESAuthenticationProblem.self) { try SESSignature(of: request) }
        let old = ProviderRequest(
            method: "POST", path: "/ses",
            headers: [("x-amzn-authorization", text.replacing("AWS4-HMAC-SHA256", with: "AWS3-HTTPS"))])
        #expect(throws: SESAuthenticationProblem.self) { try SESSignature(of: old) }
    }

    @Test(
        "dates that are none are refused",
        arguments: [
            "", "now", "20261120T1800Z", "20261320T180000Z", "2026112üT18000Z", "20261120t180000Z", "-0261120T180000Z",
        ])
    func dates(_ text: String) {
        for signed in SignedRequest.all {
            let headers =
                signed.request.headers.filter { $0.name != "date" && $0.name != "x-amz-date" } + [("x-amz-date", text)]
            #expect(throws: SESAuthenticationProblem.incomplete) {
                try signed.verify(signed.request.with(headers: headers))
            }
        }
    }
}

/// A request as it came over the wire, and when it was signed.
struct SignedRequest: Sendable, CustomStringConvertible {
    let description: String
    let request: ProviderRequest

    static let key = "ak_AbCdEfGh_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
    /// 2026-11-20T18:00:00Z.
    static let signedAt = Timestamp(milliseconds: 1_795_197_600_000)
    static let version4 = all.filter { $0.request.header("authorization") != nil }

    static let all = read("cases")
    static let refused = read("refused")

    private static func read(_ list: String) -> [SignedRequest] {
        let folder = "\(#filePath)".split(separator: "/").dropLast().reduce(into: "") { $0 += "/\($1)" }
        guard
            let document = try? JSONParser.parse(fileBytes("\(folder)/Fixtures/ses/signatures.json")).objectValue
        else { return [] }
        return (document[list]?.arrayValue ?? []).compactMap { $0.objectValue.flatMap(SignedRequest.init) }
    }

    private init?(_ object: JSONObject) {
        guard let name = object["name"]?.stringValue, let request = object["request"]?.objectValue,
            let method = request["method"]?.stringValue, let path = request["path"]?.stringValue
        else { return nil }
        description = name
        let headers = (request["headers"]?.arrayValue ?? []).compactMap { pair -> (name: String, value: String)? in
            guard let pair = pair.arrayValue, let name = pair[0].stringValue, let value = pair[1].stringValue else {
                return nil
            }
            return (name, value)
        }
        self.request = ProviderRequest(
            method: method, path: path, query: request["query"]?.stringValue ?? "", headers: headers,
            body: Array((request["body"]?.stringValue ?? "").utf8))
    }

    var signedHeaders: [String] {
        get throws {
            let text = try #require(request.header("authorization"))
            let list = try #require(text.split(separator: "SignedHeaders=").last?.split(separator: ",").first)
            return list.split(separator: ";").map(String.init)
        }
    }

    func verify(_ other: ProviderRequest? = nil, secret: String = key, after seconds: Double = 0) throws {
        let request = other ?? request
        try SESSignature(of: request)
            .verify(request, secret: Secret(secret), now: Self.signedAt.adding(seconds: seconds))
    }

    func replacing(_ old: String, with new: String, in name: String) -> ProviderRequest {
        request.with(headers: request.headers.map { $0.name == name ? (name, $0.value.replacing(old, with: new)) : $0 })
    }
}

extension ProviderRequest {
    func with(
        method: String? = nil,
        path: String? = nil,
        query: String? = nil,
        headers: [(name: String, value: String)]? = nil
    ) -> ProviderRequest {
        ProviderRequest(
            method: method ?? self.method, path: path ?? self.path, query: query ?? self.query,
            headers: headers ?? self.headers, body: body)
    }
}
