"""The HTTP interface: the API, the web page, metrics. It asks the supervisor, and decides nothing itself.

routes, api, queries, answers   what may be asked, and the answers
access, tokens, token_file      who may ask
problems                        errors to problem documents: the one table
events, downloads, metrics      streams, report files, Prometheus
openapi                         the description, from the routes themselves
app, server, listener, limits   requests through all of that, within bounds
page_files, page/               the web page: static files
"""
