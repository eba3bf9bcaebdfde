// Stylesheets are imported as text: they become constructable stylesheets, which a strict CSP allows.
declare module "*.css" {
  const text: string;
  export default text;
}

// hls.js types its light build like the full one but does not declare the path.
declare module "hls.js/light" {
  export { default } from "hls.js";
}
