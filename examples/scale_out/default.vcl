vcl 4.1;

# Varnish 6 or later in front of Liveshop: the video of a show leaves the server once, whatever the
# audience. A thousand players ask for the same playlist before it exists; Varnish sends one of
# those requests on, lets the others wait, and answers all of them with what comes. It does so for
# everything it may store, so the whole of this file is about what may be stored, and for how long.

import std;

backend liveshop {
    .host = "127.0.0.1";
    .port = "8080";
    .connect_timeout = 2s;
    # A blocking reload is answered when the next part is there: within a second, or within three
    # target durations when the encoder pauses.
    .first_byte_timeout = 20s;
    .between_bytes_timeout = 10s;
}

sub vcl_recv {
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
    if (req.url !~ "^/hls/") {
        # Pages and the API know who asks: nothing of theirs is stored here.
        return (pass);
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # The right to watch is in the address (a signature), never in a header.
    unset req.http.Cookie;
    unset req.http.Authorization;
    unset req.http.Origin;
    if (req.url ~ "\.m3u8(\?|$)") {
        # Players ask with _HLS_msn, _HLS_part and _HLS_skip; each combination is a playlist of its
        # own. Anything else would only make one playlist into many.
        set req.url = regsuball(req.url, "(?<=[?&])(?!_HLS_(msn|part|skip)=)[^&]*(&|$)", "");
        set req.url = std.querysort(regsub(req.url, "[?&]+$", ""));
    } else {
        set req.url = regsub(req.url, "\?.*$", "");
    }
    return (hash);
}

sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = req.http.Connection;
    }
}

sub vcl_backend_response {
    if (bereq.url !~ "^/hls/") {
        return (deliver);
    }
    unset beresp.http.Set-Cookie;
    # One entry for all origins: the answer is the same, and says so (Access-Control-Allow-Origin).
    unset beresp.http.Vary;
    # A playlist that is too old is worse than none: its player asks for what is gone. So nothing
    # is served past its time, not even while a fresh one is on its way.
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    if (beresp.status >= 400) {
        # "Not yet" and "no longer" are answers too. Were they not stored, everybody who waits for
        # them would be sent on to the server, one after the other.
        set beresp.uncacheable = false;
        set beresp.ttl = 500ms;
        return (deliver);
    }
    # Lifetimes are the server's: Cache-Control says an hour for parts and segments, whose names
    # are never used twice, and seconds for playlists.
    if (beresp.ttl <= 0s) {
        set beresp.ttl = 500ms;
    }
    # Parts flow to the viewers while they arrive.
    set beresp.do_stream = true;
    return (deliver);
}

sub vcl_backend_error {
    # The server is being restarted: a crowd may ask twice a second, not each for itself.
    if (bereq.url ~ "^/hls/") {
        set beresp.ttl = 500ms;
        set beresp.grace = 0s;
        set beresp.http.Access-Control-Allow-Origin = "*";
        set beresp.http.Retry-After = "1";
    }
}

sub vcl_deliver {
    unset resp.http.Via;
    unset resp.http.X-Varnish;
}
