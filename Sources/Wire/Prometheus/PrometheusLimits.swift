// What callers can make the registry remember at most. Label values can come from strangers (a domain, a peer), and a
// metric that remembers each of them forever is a leak.

package struct PrometheusLimits: Sendable {
    /// Metrics of different names.
    package var families = 500
    /// Label sets of one metric. Counters and histograms count further ones together under `overflow="true"`.
    package var labelSets = 500
    /// Labels of one label set; further ones are left out.
    package var labels = 16
    /// Bytes of one label value; the rest is cut off.
    package var labelValueBytes = 128

    package init() {}
}
