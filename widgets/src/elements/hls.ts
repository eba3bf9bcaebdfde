// What is loaded only when there is a stream to play: hls.js, and what a running show needs around its picture.

export { attach, type Figures, type Stream, type StreamOptions } from "./stream";
export { LsLive } from "./live";
