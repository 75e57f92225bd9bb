// What a person sees whose single sign-on came to nothing: what happened, what to do, and a way back.

import HTTPTypes
import Hummingbird
import Model
import NIOCore
import WebClient

enum OpenIDPage {
    /// - Parameter retry: the path that was wanted, to be offered again.
    static func response(_ error: PosternError, requestID: String, retry: String?) -> Response {
        let again = "/auth/oidc/start" + (retry.map { "?return_to=\(WebRequest.escaped($0))" } ?? "")
        let page = """
            <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Postern: sign-in</title>
            <meta name="viewport" content="width=device-width">
            <style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}
            small{color:#555}</style>
            </head><body><h1>\(escape(error.code.entry.title))</h1>
            <p>\(escape(error.detail)).</p><p>\(escape(error.fix))</p>
            <p><a href="\(escape(again))">Sign in again</a></p>
            <p><small>\(escape(error.code.rawValue)) · \(escape(requestID))</small></p>
            </body></html>

            """
        var headers: HTTPFields = [
            .contentType: "text/html; charset=utf-8", .cacheControl: "no-store", .referrerPolicy: "no-referrer",
            .contentSecurityPolicy:
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ]
        if let seconds = error.retryAfter { headers[.retryAfter] = String(seconds) }
        return Response(
            status: HTTPResponse.Status(code: error.code.entry.httpStatus), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(string: page)))
    }

    private static func escape(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
